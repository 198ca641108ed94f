"""The doctor of a client: made-up configurations, and the real server started as the client would start it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from homes import PATIENCE_SECONDS, Home

from dibs.examine_tasks_dir import DoctorResult
from dibs_server.clients import examine_client as doctors
from dibs_server.clients import start
from dibs_server.clients.entries import Entry, expanded
from dibs_server.clients.examine_client import examine_client
from dibs_server.clients.interview import Interview, interview
from dibs_server.clients.launch import Launch
from dibs_server.clients.places import CLIENTS, Client, Scope
from dibs_server.clients.set_up import SetupRequest, set_up
from dibs_server.clients.start import Start, start_of
from support import write_task

OURS = Launch(sys.executable, ("-m", "dibs_server", "serve"))
READS_ON = "import sys; sys.stdin.buffer.read()"
Doctor = Callable[..., DoctorResult]
only_what_is_written = pytest.mark.usefixtures("heard")
"""For tests of what the doctor says of a configuration, whose server answers as it always does."""


@pytest.fixture
def doctor(home: Home, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Sets a client up, lets the test spoil its entry, and asks the doctor; a busy machine may take its time."""
    monkeypatch.setattr(start, "GEMINI_SECONDS", 60.0)
    write_task(home.project / "tasks", "t-1")

    def ask(
        client: Client, scope: Scope = "user", *, cwd: Path | None = None, environment: dict[str, str] | None = None,
        **spoilt: Any,
    ) -> DoctorResult:  # fmt: skip
        set_up(SetupRequest(client, scope, write=True), OURS, home.places, again="")
        if spoilt:
            respell(home.places.config(client, scope), **spoilt)
        return examine_client(client, home.places, home.environment | (environment or {}), cwd or home.project)

    return ask


@pytest.fixture(scope="module")
def real_answers(tmp_path_factory: pytest.TempPathFactory) -> Interview:
    """What the real server answers."""
    folder = tmp_path_factory.mktemp("asked")
    write_task(folder / "tasks", "t-1")
    answers = interview(Start(OURS.command, list(OURS.args), {}, folder, PATIENCE_SECONDS))
    assert answers.stats
    return answers


@pytest.fixture
def heard(real_answers: Interview, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is not started once more to answer the same."""
    monkeypatch.setattr(doctors, "interview", lambda start: real_answers)


def respell(path: Path, **spoilt: Any) -> None:
    """Give the entry these values instead; None takes one out."""
    document = json.loads(path.read_bytes())
    entry = document["mcpServers"]["dibs"]
    entry.update(spoilt)
    for name in [name for name, value in spoilt.items() if value is None]:
        del entry[name]
    path.write_text(json.dumps(document), encoding="utf-8")


def doctor_of_codex(home: Home, line: str, other: str) -> DoctorResult:
    """What the doctor says when, in what was set up, this line is another one."""
    write_task(home.project / "tasks", "t-1")
    set_up(SetupRequest("codex", "user", write=True), OURS, home.places, again="")
    config = home.places.user_config("codex")
    written = config.read_text(encoding="utf-8")
    assert line in written
    config.write_text(written.replace(line, other), encoding="utf-8")
    return examine_client("codex", home.places, home.environment, home.project)


def told(result: DoctorResult) -> list[tuple[str, str]]:
    return [(finding.kind, finding.severity) for finding in result.findings]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_was_set_up_is_well_and_it_is_said_on_what(client: Client, doctor: Doctor, home: Home) -> None:
    result = doctor(client)
    assert (result.status, result.findings) == ("well", [])
    assert result.message.endswith(f" is connected to dibs, on {home.project / 'tasks'}: 1 task")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_knows_no_dibs_is_told_how_to_set_it_up(client: Client, home: Home) -> None:
    result = examine_client(client, home.places, home.environment, home.project)
    assert told(result) == [("client", "error")]
    assert result.findings[0].mend == f"put it in: dibs setup {client} --write"


def test_a_broken_configuration_is_told_with_its_line(home: Home) -> None:
    home.places.claude.write_text('{\n"a": 1,\n}', encoding="utf-8")
    result = examine_client("claude", home.places, home.environment, home.project)
    assert told(result) == [("client", "error")]
    assert result.findings[0].text == f"{home.places.claude}:3: a comma stands before }}"


def test_a_missing_command_is_told_and_nothing_started(doctor: Doctor) -> None:
    result = doctor("gemini", command="/nowhere/dibs", args=["serve"])
    assert told(result) == [("command", "error")]
    assert "/nowhere/dibs is not there" in result.findings[0].text


def test_a_command_that_may_not_be_executed_is_told(doctor: Doctor, home: Home) -> None:
    (home.folder / "dibs").write_text("", encoding="utf-8")
    assert "cannot be executed" in doctor("claude", command=str(home.folder / "dibs")).findings[0].text


def test_a_command_that_is_only_on_the_path_is_told(doctor: Doctor, home: Home) -> None:
    script = home.folder / "py"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    result = doctor("claude", command="py", environment={"PATH": str(home.folder)})
    assert told(result) == [("command", "warning")]
    assert "is not a full path" in result.findings[0].text


def test_a_server_that_does_not_answer_in_the_client_s_time_is_told_with_that_time(doctor: Doctor) -> None:
    words = ["-c", READS_ON, "dibs_server", "serve"]
    result = doctor("claude", environment={"MCP_TIMEOUT": "400"}, args=words)
    assert told(result) == [("server", "error")]
    assert "did not answer within 0.4 s, as Claude Code would start it" in result.findings[0].text


def test_a_program_that_is_no_server_is_told(doctor: Doctor) -> None:
    result = doctor("claude", args=["-c", "", "dibs_server", "serve"])
    assert told(result) == [("server", "error")]


def test_a_server_that_ends_at_once_is_told_with_its_last_words(doctor: Doctor) -> None:
    result = doctor("claude", args=["-c", "import nowhere", "dibs_server", "serve"])
    assert told(result) == [("server", "error"), ("noise", "warning")]
    assert all(finding.text.endswith(": ModuleNotFoundError: No module named 'nowhere'") for finding in result.findings)


def test_a_script_whose_interpreter_is_gone_is_told(doctor: Doctor, home: Home) -> None:
    script = home.folder / "dibs"
    script.write_text("#!/nowhere/bin/python3 -I\nimport sys\n", encoding="utf-8")
    script.chmod(0o755)
    result = doctor("gemini", command=str(script), args=["serve"])
    assert told(result) == [("command", "error")]
    assert result.findings[0].text.endswith("is a script for /nowhere/bin/python3, which is gone")
    assert result.findings[0].mend.endswith("dibs setup gemini --write")


def test_a_server_that_talks_on_stdout_is_told_and_nothing_else_is_said(doctor: Doctor, home: Home) -> None:
    program = "import sys; print('hello there', flush=True); from dibs_server.__main__ import main; main()"
    words = ["-c", f"import sys; sys.argv = ['dibs', 'serve']; {program}", "dibs_server", "serve"]
    result = doctor("claude", args=words)
    assert told(result) == [("noise", "error")]
    assert result.findings[0].text.endswith("writes 1 line of its own to stdout, which is the protocol's: hello there")
    said = home.dibs("doctor", "--client", "claude")
    assert ("the protocol's: hello there" in said.stdout, said.stderr) == (True, "")


def test_a_server_that_talks_on_stderr_is_told(doctor: Doctor) -> None:
    program = "import sys; print('hello ' * 9, file=sys.stderr); from dibs_server.__main__ import main; main()"
    result = doctor(
        "gemini", args=["-c", f"import sys; sys.argv = ['dibs', 'serve']; {program}", "dibs_server", "serve"]
    )
    assert told(result) == [("noise", "warning")]
    assert "writes 55 characters to stderr, which some clients never read: hello hello" in result.findings[0].text


@only_what_is_written
@pytest.mark.parametrize(("client", "option"), [("claude", "alwaysLoad"), ("gemini", "trust")])
def test_an_entry_without_what_makes_tools_usable_is_told(client: Client, option: str, doctor: Doctor) -> None:
    result = doctor(client, **{option: None})
    assert told(result) == [("tools", "warning")]
    assert f"has no `{option}`" in result.findings[0].text
    assert result.findings[0].mend == f"add it: dibs setup {client} --write"


@only_what_is_written
@pytest.mark.parametrize(
    ("line", "name"),
    [("required = true\n", "required"), ('default_tools_approval_mode = "approve"\n', "default_tools_approval_mode")],
)
def test_codex_without_what_makes_tools_usable_is_told(line: str, name: str, home: Home) -> None:
    result = doctor_of_codex(home, line, "")
    assert told(result) == [("tools", "warning")]
    assert f"has no `{name}" in result.findings[0].text


@only_what_is_written
@pytest.mark.parametrize(
    ("filters", "kept", "mend"),
    [
        (
            {"includeTools": ["get_task", "complete_task(x)"]},
            "claim_next_task",
            "add what is missing to `includeTools`",
        ),
        ({"includeTools": []}, "claim_next_task and complete_task", "add what is missing to `includeTools`"),
        ({"excludeTools": ["complete_task"]}, "complete_task", "take it off `excludeTools`"),
        ({"includeTools": ["claim_next_task", "complete_task"], "excludeTools": ["get_task"]}, None, ""),
    ],
)
def test_tools_that_gemini_keeps_from_its_agent_are_told(
    filters: dict[str, list[str]], kept: str | None, mend: str, doctor: Doctor
) -> None:
    result = doctor("gemini", **filters)
    assert told(result) == ([("tools", "error")] if kept else [])
    assert all(f" keeps {kept} from " in each.text and each.mend.startswith(mend) for each in result.findings)


@only_what_is_written
@pytest.mark.parametrize(("name", "kept"), [("enabled_tools", "complete_task"), ("disabled_tools", "claim_next_task")])
def test_tools_that_codex_keeps_from_its_agent_are_told(name: str, kept: str, home: Home) -> None:
    result = doctor_of_codex(home, "required = true\n", f'required = true\n{name} = ["claim_next_task"]\n')
    assert told(result) == [("tools", "error")]
    assert f" keeps {kept} from " in result.findings[0].text


def test_what_a_client_does_not_consent_to_is_among_what_its_doctor_tells(doctor: Doctor, home: Home) -> None:
    result = doctor("claude", "project")
    assert told(result) == [("trust", "warning")]
    assert result.findings[0].mend == "run `claude` there once, and say yes when it asks"


def test_what_nobody_consented_to_is_not_started(home: Home) -> None:
    """A cloned repository may name any program of its own as its server."""
    program, started = home.project / "dibs", home.project / "started"
    program.write_text(f"#!/bin/sh\ntouch '{started}'\n", encoding="utf-8")
    program.chmod(0o755)
    entry = {"type": "stdio", "command": str(program), "args": ["serve"], "alwaysLoad": True}
    home.places.config("claude", "project").write_text(json.dumps({"mcpServers": {"dibs": entry}}), encoding="utf-8")
    assert told(examine_client("claude", home.places, home.environment, home.project)) == [("trust", "error")]
    assert not started.exists()
    home.places.claude_settings.parent.mkdir()
    home.places.claude_settings.write_text('{"enabledMcpjsonServers": ["dibs"]}', encoding="utf-8")
    assert ("server", "error") in told(examine_client("claude", home.places, home.environment, home.project))
    assert started.exists()


@only_what_is_written
def test_the_same_server_twice_is_told_and_on_two_directories_it_is_an_error(doctor: Doctor, home: Home) -> None:
    set_up(SetupRequest("claude", "project", key="tm", write=True), OURS, home.places, again="")
    trusted = {str(home.project): {"hasTrustDialogAccepted": True}}
    home.places.claude.write_text(json.dumps({"projects": trusted}), encoding="utf-8")
    twice = doctor("claude")
    assert told(twice) == [("twice", "warning")]
    assert twice.findings[0].mend == "take one out: dibs setup claude --remove --write"
    (home.folder / "others").mkdir()
    two = doctor("claude", args=[*OURS.args, "--tasks-dir", str(home.folder / "others")])
    assert told(two) == [("twice", "error")]
    assert str(home.folder / "others") in two.findings[0].text


def test_no_tasks_directory_from_there_is_told_with_how_to_make_one(doctor: Doctor, home: Home) -> None:
    elsewhere = home.folder / "elsewhere"
    elsewhere.mkdir()
    result = doctor("claude", cwd=elsewhere)
    assert told(result) == [("directory", "error")]
    assert "dibs init" in result.findings[0].mend


@pytest.mark.parametrize(("client", "severity"), [("claude", "note"), ("gemini", "warning")])
def test_tasks_outside_the_workspace_are_told_with_the_flag_that_opens_them(
    client: Client, severity: str, doctor: Doctor, home: Home
) -> None:
    others = write_task(home.folder / "others", "o-1").parent
    result = doctor(client, args=[*OURS.args, "--tasks-dir", str(others)])
    assert told(result) == [("outside", severity)]
    assert result.findings[0].mend.endswith(f" {others}")
    assert result.status == ("well" if client == "claude" else "to_mend")


def start_in(home: Home, client: Client, written: dict[str, Any], **environment: str) -> dict[str, str]:
    entry = Entry("dibs", home.places.config(client, "user"), "user", {"command": "dibs", **written})
    return start_of(client, entry, home.places, {"PATH": "/bin", **environment}, home.project).environment


def test_each_client_s_environment_is_what_it_lets_through(home: Home) -> None:
    given = {"DIBS_TASKS_DIR": "/t", "MY_TOKEN": "1", "PROJECT_KEY": "2", "FOO": "3", "GEMINI_CLI_KEY": "4"}
    claude = start_in(home, "claude", {"env": {"A": "${FOO}-${NONE:-x}-$FOO"}}, **given)
    assert claude == {
        "PATH": "/bin",
        **given,
        "A": "3-x-$FOO",
        "CLAUDECODE": "1",
        "CLAUDE_PROJECT_DIR": str(home.project),
    }
    gemini = start_in(home, "gemini", {"env": {"OUR_TOKEN": "$FOO"}}, **given)
    kept = {"DIBS_TASKS_DIR": "/t", "FOO": "3", "GEMINI_CLI_KEY": "4"}
    assert gemini == {"PATH": "/bin", **kept, "GEMINI_CLI": "1", "OUR_TOKEN": "3"}
    assert start_in(home, "codex", {}, **given) == {"PATH": "/bin"}
    named = {"env_vars": ["DIBS_TASKS_DIR", "NONE"], "env": {"B": "$FOO"}}
    assert start_in(home, "codex", named, **given) == {"PATH": "/bin", "DIBS_TASKS_DIR": "/t", "B": "$FOO"}


def test_each_client_s_patience_is_its_own(home: Home) -> None:
    def seconds(client: Client, environment: dict[str, str], **written: Any) -> float:
        entry = Entry("dibs", home.places.config(client, "user"), "user", {"command": "dibs", **written})
        return start_of(client, entry, home.places, environment, home.project).seconds

    assert seconds("gemini", {}, timeout=600_000) == 5
    assert (seconds("claude", {}), seconds("claude", {"MCP_TIMEOUT": "1500"})) == (30, 1.5)
    assert (seconds("codex", {}), seconds("codex", {}, startup_timeout_sec=30)) == (10, 30)


def test_variables_are_filled_in_as_the_client_does() -> None:
    given = {"A": "1", "EMPTY": ""}
    assert expanded("${A} ${B:-two} ${EMPTY:-three} ${C} $A", given, bare=False) == "1 two three  $A"
    assert expanded("$A.$B", given, bare=True) == "1."


@only_what_is_written
@pytest.mark.parametrize("client", ["claude", "codex"])
@pytest.mark.parametrize("key", ["dibs", "tm"])
def test_an_entry_of_a_project_that_the_client_passes_over_does_not_hide_the_user_s(
    client: Client, key: str, home: Home, doctor: Doctor
) -> None:
    path = home.places.config(client, "project")
    path.parent.mkdir(exist_ok=True)
    nowhere = {
        "claude": json.dumps({"mcpServers": {key: {"command": "/nowhere/dibs", "args": ["serve"]}}}),
        "codex": f'[mcp_servers.{key}]\ncommand = "/nowhere/dibs"\nargs = ["serve"]\n',
    }
    path.write_text(nowhere[client], encoding="utf-8")
    alone = examine_client(client, home.places, home.environment, home.project)
    assert ("trust", "error") in told(alone)
    assert told(doctor(client)) == []


def test_the_private_entry_of_a_project_wins_over_the_shared_and_that_over_the_user_s(home: Home) -> None:
    def entry(command: str) -> dict[str, Any]:
        return {"dibs": {"command": command, "args": ["-m", "dibs_server", "serve"], "alwaysLoad": True}}

    (home.project / ".mcp.json").write_text(json.dumps({"mcpServers": entry("/shared")}), encoding="utf-8")
    home.places.claude_settings.parent.mkdir()
    home.places.claude_settings.write_text('{"enabledMcpjsonServers": ["dibs"]}', encoding="utf-8")
    both: dict[str, Any] = {"mcpServers": entry("/user"), "projects": {}}
    home.places.claude.write_text(json.dumps(both), encoding="utf-8")
    assert "/shared is not there" in first_text(home)
    both["projects"][str(home.project)] = {"mcpServers": entry("/private")}
    home.places.claude.write_text(json.dumps(both), encoding="utf-8")
    assert "/private is not there" in first_text(home)
    (home.project / ".mcp.json").unlink()
    home.places.claude.write_text(json.dumps({"mcpServers": entry("/user")}), encoding="utf-8")
    assert "/user is not there" in first_text(home)


def first_text(home: Home) -> str:
    return examine_client("claude", home.places, home.environment, home.project).findings[0].text
