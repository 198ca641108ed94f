"""How an agent is started: its words, its variables, and the server it finds its task through."""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from dibs.store.dispatch_settings import DEFAULT_AGENTS, PERMISSIONS, Agent, Dispatch
from dibs_server.dispatch.agents import Start, command_of, environment_of, has_server, write_places


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return Start(
        task_id="a {model} b",
        task_file=str(tmp_path / "t.md"),
        token="tok",
        model="opus",
        prompt='You are {cwd} it\'s "quoted"',
        tasks_dir=tmp_path / 'odd "dir" \\ é\x7f',
        cwd=tmp_path,
        scratch=tmp_path,
    )


def test_places_are_filled_once_and_permissions_stand_where_they_are_named(start: Start) -> None:
    agent = Agent(command=("x", "{task_id}-{prompt}", PERMISSIONS, "end"), permissions=("--may", "{prompt}"))
    assert command_of(agent, start) == ["x", f"a {{model}} b-{start.prompt}", "--may", "{prompt}", "end"]


@pytest.mark.parametrize(
    ("model", "words"),
    [("opus", ["x", "--model=big"]), ("other", ["x", "--model=other"]), ("", ["x"]), ("inherit", ["x"])],
)
def test_a_model_has_the_agent_s_own_name_and_may_be_left_out(start: Start, model: str, words: list[str]) -> None:
    agent = Agent(command=("x", "--model={model}"), models={"opus": "big"})
    assert command_of(agent, replace(start, model=model)) == words


def test_an_agent_gets_what_it_may_inherit_and_nothing_else(start: Start) -> None:
    agent = Agent(command=("x",), inherits=("MY_*",), environment={"PLACE": "{cwd}", "LANG": "C"})
    outer = {"PATH": "/bin", "MY_KEY": "k", "OTHER_KEY": "o", "DIBS_CLAIM": "outer", "LANG": "de", "LC_ALL": "C"}
    inner = environment_of(agent, Dispatch().inherits, start, outer)
    assert inner == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "LANG": "C",
        "MY_KEY": "k",
        "PLACE": str(start.cwd),
        "DIBS_TASK_ID": start.task_id,
        "DIBS_TASK_FILE": start.task_file,
        "DIBS_TASKS_DIR": str(start.tasks_dir),
        "DIBS_CLAIM": "tok",
        "DIBS_CLAIM_FILE": str(start.claim_file),
    }


@pytest.mark.parametrize("name", DEFAULT_AGENTS)
def test_no_default_agent_inherits_another_one_s_keys_or_an_outer_session(start: Start, name: str) -> None:
    keys = {"ANTHROPIC_API_KEY": "claude", "GEMINI_API_KEY": "gemini", "OPENAI_API_KEY": "codex"}
    names = ("CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "CLAUDE_PROJECT_DIR", "GEMINI_CLI", "CODEX_THREAD_ID")
    marks = dict.fromkeys(names, "x")
    inner = environment_of(DEFAULT_AGENTS[name], Dispatch().inherits, start, {**keys, **marks})
    assert [key for key in keys if key in inner] == [key for key, owner in keys.items() if owner == name]
    assert marks.keys().isdisjoint(inner)


def test_the_server_stands_in_a_file_and_in_a_word_of_toml(start: Start) -> None:
    agent = Agent(command=("x", "c={mcp_toml}", "{mcp_config}"), server={"required": True, "seconds": 60})
    write_places(agent, start, {})
    (server,) = json.loads(start.mcp_config.read_text(encoding="utf-8"))["mcpServers"].values()
    word = command_of(agent, start)[1]
    assert tomllib.loads(word)["c"] == server
    assert server["required"] is True
    assert (server["command"], server["args"][-1]) == (sys.executable, str(start.tasks_dir))
    assert server["env"]["DIBS_CLAIM_FILE"] == str(start.claim_file)
    assert json.loads(start.claim_file.read_text(encoding="utf-8")) == {"id": start.task_id, "claim_token": "tok"}
    assert not start.gemini_home.exists()


def test_what_has_a_token_in_it_is_for_this_user_alone(start: Start) -> None:
    agent = DEFAULT_AGENTS["gemini"]
    write_places(agent, start, {"HOME": str(start.cwd)})
    written = [start.claim_file, start.mcp_config, start.gemini_home / ".gemini" / "settings.json"]
    assert [path.stat().st_mode & 0o077 for path in written] == [0, 0, 0]


@pytest.mark.parametrize(
    ("agent", "expected"),
    [*((agent, True) for agent in DEFAULT_AGENTS.values()), (Agent(command=("sh", "{task_id}")), False)],
)
def test_whether_an_agent_is_given_a_server_is_known(agent: Agent, expected: bool) -> None:
    assert has_server(agent) is expected


def test_an_agent_s_home_is_where_the_variables_say(start: Start, tmp_path: Path) -> None:
    theirs = tmp_path / "elsewhere" / ".gemini"
    theirs.mkdir(parents=True)
    (theirs / "settings.json").write_text('{"theme": "dark"} // mine\n', encoding="utf-8")
    write_places(DEFAULT_AGENTS["gemini"], start, {"HOME": "/nowhere", "GEMINI_CLI_HOME": str(theirs.parent)})
    text = (start.gemini_home / ".gemini" / "settings.json").read_text(encoding="utf-8")
    assert "dark" in text
    assert "// mine" in text
    assert str(start.claim_file) in text
