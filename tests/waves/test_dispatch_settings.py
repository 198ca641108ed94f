"""Which agents waves start, as settings.json says it: what is left out is as it was, what cannot be is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dibs.store.dispatch_settings import DEFAULT_AGENTS
from dibs.store.errors import SettingsError
from dibs.store.settings import Settings, load_settings
from doors import run_dibs
from support import write_file


def loaded(tasks_dir: Path, **sections: Any) -> Settings:
    write_file(tasks_dir / "settings.json", json.dumps(sections))
    return load_settings(tasks_dir)


def agents(tasks_dir: Path, **given: Any) -> Any:
    return loaded(tasks_dir, dispatch={"agents": given}).dispatch.agents


def test_of_a_known_agent_only_what_is_given_changes(tasks_dir: Path) -> None:
    found = agents(tasks_dir, claude={"permissions": ["--allowedTools", "Read"]})
    assert found["claude"].permissions == ("--allowedTools", "Read")
    assert found["claude"] == DEFAULT_AGENTS["claude"].model_copy(update={"permissions": ("--allowedTools", "Read")})
    assert {name: found[name] for name in ("gemini", "codex")} == {
        name: DEFAULT_AGENTS[name] for name in ("gemini", "codex")
    }


def test_a_new_agent_is_added_to_the_known_ones(tasks_dir: Path) -> None:
    found = agents(tasks_dir, mine={"command": ["my-agent", "{prompt}"]})
    assert (list(found), found["mine"].permissions) == (["claude", "gemini", "codex", "mine"], ())


@pytest.mark.parametrize(
    ("agent", "complaint"),
    [
        ({"mine": {"comand": ["x"]}}, "unknown key 'dispatch.agents.mine.comand' (did you mean 'command'?)"),
        ({"claude": {"permission": []}}, "'dispatch.agents.claude.permission' (did you mean 'permissions'?)"),
        ({"mine": {"command": ["x"], "permissions": ["--all"]}}, "`command` has no word {permissions} where they go"),
        ({"claude": {"command": ["claude"]}}, "`command` has no word {permissions} where they go"),
        ({"mine": {"command": []}}, "dispatch.agents.mine.command"),
        ({"mine": {"command": [" "]}}, "its first word must name a program"),
        ({"mine": {}}, "dispatch.agents.mine.command"),
        ({"mine": "x"}, "dispatch.agents.mine"),
        ({"claude": None}, "dispatch.agents.claude"),
        ({"mine": {"command": "x {prompt}"}}, "dispatch.agents.mine.command"),
    ],
    ids=str,
)
def test_an_agent_that_cannot_be_is_refused(tasks_dir: Path, agent: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        agents(tasks_dir, **agent)
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("sections", "complaint"),
    [
        ({"dispatch": {"agnet": "x"}}, "unknown key 'dispatch.agnet' (did you mean 'agent'?)"),
        ({"dispatch": {"agents": []}}, "dispatch.agents"),
        ({"dispatch": {"timeout_seconds": 0}}, "dispatch.timeout_seconds"),
        ({"dispatch": {"by_complexity": {"hard": {"model": "opus"}}}}, "dispatch.by_complexity: "),
        ({"dispatch": {"by_complexity": {"mechanical": {"modl": "x"}}}}, "dispatch.by_complexity.mechanical.modl"),
        ({"parallelism": {"maxParalelTasks": 1}}, "unknown key 'parallelism.maxParalelTasks'"),
        ({"parallelism": {"maxParallelTasks": 0}}, "parallelism.maxParallelTasks"),
        ({"parallelism": {"implementation": 101}}, "parallelism.implementation"),
    ],
    ids=str,
)
def test_wrong_limits_and_names_are_refused(tasks_dir: Path, sections: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tasks_dir, **sections)
    assert complaint in caught.value.message


def test_a_plan_shows_the_permissions_of_the_settings(tasks_dir: Path, programs: Path) -> None:
    loaded(
        tasks_dir,
        dispatch={
            "agent": "mine",
            "agents": {
                "mine": {"command": [str(programs / "codex"), "{permissions}"], "permissions": ["--only", "a b"]}
            },
        },
    )
    result = run_dibs("wave", "plan", "--tasks", '[{"taskId": "a", "title": "A"}]', "--tasks-dir", str(tasks_dir))
    assert result.stdout.splitlines()[-1] == f"  mine ({programs / 'codex'})  --only 'a b'"
