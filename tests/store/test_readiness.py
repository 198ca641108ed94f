"""The readiness rule: one test for each thing that can stand in a task's way."""

from __future__ import annotations

import pytest

from dibs.store.errors import MalformedTask
from dibs.store.readiness import find_cycle, obstacles
from dibs.store.reservations import NOTHING_HELD, Held
from dibs.store.settings import Assignees, Claims, Settings
from dibs.store.snapshot import Snapshot, build_snapshot
from support import make

GEMINI_ONLY = "status: active\nassignee: gemini"


def snapshot_of(*headers: str) -> Snapshot:
    tasks = [make(header, f"t-{number}.md") for number, header in enumerate(headers, 1)]
    return build_snapshot((task.path, task) for task in tasks)


def in_the_way(
    *headers: str, caller: str | None = "gemini", settings: Settings | None = None, held: Held = NOTHING_HELD
) -> list[str]:
    """Kind and words of what is in the way of t-1, the first of these tasks."""
    snapshot = snapshot_of(*headers)
    found = obstacles(snapshot.tasks["t-1"], snapshot, settings or Settings(), caller=caller, held=held)
    return [f"{obstacle.kind}: {obstacle.text}" for obstacle in found]


def test_an_active_task_is_ready() -> None:
    assert in_the_way("status: active") == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("inbox", "inbox"),
        ("on_hold", "on_hold"),
        ("blocked", "human"),
        ("review", "human"),
        ("in_progress", "other"),
        ("done", "other"),
        ("cancelled", "other"),
        ("failed", "other"),
    ],
)
def test_any_other_status_is_in_the_way_and_nothing_else_is_told(status: str, kind: str) -> None:
    (found,) = in_the_way(f"status: {status}\ndepends_on: [nothing]")
    assert found.startswith(f"{kind}: it ")


def test_a_claim_is_in_the_way() -> None:
    assert in_the_way("status: active", held=Held(keys=frozenset({"t-1"}))) == ["other: it is claimed"]


@pytest.mark.parametrize("word", ["goal", "Project", "epic", "learn"])
def test_containers_and_learn_are_never_claimed(word: str) -> None:
    assert in_the_way(f"status: active\ntype: {word}") == [f"other: tasks of type {word.lower()} are never claimed"]


@pytest.mark.parametrize("word", ["task", "bug", "action", "whatever"])
def test_every_other_type_is_claimable(word: str) -> None:
    assert in_the_way(f"status: active\ntype: {word}") == []


def test_an_open_child_is_in_the_way_and_named() -> None:
    assert in_the_way("status: active", "status: inbox\nparent: T-1") == ["other: its children are still open: t-2"]


@pytest.mark.parametrize("status", ["done", "cancelled", "failed"])
def test_an_ended_child_is_not_in_the_way(status: str) -> None:
    assert in_the_way("status: active", f"status: {status}\nparent: t-1") == []


def test_a_cancelled_ancestor_is_in_the_way_however_far_up() -> None:
    found = in_the_way("status: active\nparent: t-2", "status: active\nparent: t-3", "status: cancelled")
    assert found == ["other: t-3, which it belongs to, is cancelled"]


@pytest.mark.parametrize("status", ["active", "done", "failed", "inbox"])
def test_an_ancestor_in_any_other_state_is_not_in_the_way(status: str) -> None:
    assert in_the_way("status: active\nparent: t-2", f"status: {status}\ntype: epic") == []


def test_parents_in_a_circle_end_somewhere() -> None:
    assert in_the_way("status: active\nparent: t-2", "status: done\nparent: t-1") == []
    assert in_the_way("status: active\nparent: t-1") == ["other: its children are still open: t-1"]


def test_a_done_dependency_is_met_whatever_its_case() -> None:
    assert in_the_way("status: active\ndepends_on: [T-2]", "status: done") == []


@pytest.mark.parametrize("status", ["active", "in_progress", "cancelled", "failed", "review"])
def test_any_other_dependency_is_not_met_and_is_named_with_its_state(status: str) -> None:
    found = in_the_way("status: active\ndepends_on: [t-2]", f"status: {status}")
    assert found == [f"dependencies: it depends on t-2 ({status})"]


def test_a_missing_dependency_is_not_met_and_named() -> None:
    assert in_the_way("status: active\ndepends_on: [t-9]") == ["dependencies: it depends on t-9 (missing)"]


def test_an_invalid_dependency_is_not_met_and_named() -> None:
    first = make("status: active\ndepends_on: [t-2]", "t-1.md")
    broken = MalformedTask("unknown status 'wip'", path="t-2.md", task_id="T-2")
    snapshot = build_snapshot([("t-1.md", first), ("t-2.md", broken)])
    (found,) = obstacles(first, snapshot, Settings(), caller="gemini")
    assert found.text == "it depends on t-2 (invalid)"
    assert found.task_ids == ("t-2",)


def test_all_unmet_dependencies_are_named_and_met_ones_are_not() -> None:
    found = in_the_way("status: active\ndepends_on: [t-2, t-3, t-4]", "status: done", "status: active")
    assert found == ["dependencies: it depends on t-3 (active), t-4 (missing)"]


def test_a_soft_dependency_only_informs() -> None:
    assert in_the_way("status: active\nsoft_depends_on: [t-2]", "status: active") == []


@pytest.mark.parametrize("caller", ["gemini", "Gemini", "@gemini", "gemini-cli-mcp-client"])
def test_a_task_reserved_for_the_caller_is_ready_for_that_caller(caller: str) -> None:
    assert in_the_way(GEMINI_ONLY, caller=caller) == []
    assert in_the_way("status: active\nassignee:\n  - '@gemini'", caller=caller) == []


@pytest.mark.parametrize("caller", ["claude", None, "gem"])
def test_a_task_reserved_for_somebody_else_is_not(caller: str | None) -> None:
    assert in_the_way(GEMINI_ONLY, caller=caller) == ["reserved: it is reserved for gemini"]


@pytest.mark.parametrize("assignee", ["anyone", "bot", "BOT", "'@bot'", "[]", "''"])
def test_some_names_reserve_for_nobody(assignee: str) -> None:
    assert in_the_way(f"status: active\nassignee: {assignee}", caller="claude") == []


def test_a_task_assigned_to_a_person_waits_for_a_person() -> None:
    settings = Settings(assignees=Assignees(humans=("nic",)))
    assert in_the_way("status: active\nassignee: Nic", settings=settings) == ["human: it is assigned to Nic"]
    assert in_the_way("status: active\nassignee: [nic, gemini]", settings=settings) == []


@pytest.mark.parametrize("word", ["blocked-human", "needs-decomposition", "Needs_Decomposition"])
def test_complexities_that_need_a_person_are_in_the_way(word: str) -> None:
    (found,) = in_the_way(f"status: active\ncomplexity: {word}")
    assert found.startswith(f"human: its complexity is {word.lower().replace('_', '-')}")


@pytest.mark.parametrize("word", ["mechanical", "requires-judgment", "multi-step", "fancy"])
def test_other_complexities_are_not(word: str) -> None:
    assert in_the_way(f"status: active\ncomplexity: {word}") == []


def test_tags_that_the_settings_skip_are_in_the_way() -> None:
    settings = Settings(claims=Claims(skip_tags=("Human",)))
    found = in_the_way("status: active\ntags: [a, human]", settings=settings)
    assert found == ["human: tasks tagged human are not handed out"]


def test_everything_in_the_way_is_told_in_one_order() -> None:
    found = in_the_way(
        "status: active\ntype: epic\ncomplexity: blocked-human\nassignee: x\ndepends_on: [t-9]\nparent: t-3",
        "status: active\nparent: t-1",
        "status: cancelled",
    )
    assert [text.partition(":")[0] for text in found] == [
        "other",
        "human",
        "reserved",
        "dependencies",
        "other",
        "other",
    ]


def test_a_cycle_is_named_from_the_task_round_to_itself() -> None:
    snapshot = snapshot_of(
        "status: active\ndepends_on: [x, t-4, t-2]",
        "status: active\ndepends_on: [T-3]",
        "status: active\ndepends_on: t-1",
    )
    assert find_cycle(snapshot.tasks["t-1"], snapshot.tasks.get) == ("t-1", "t-2", "t-3", "t-1")
    assert find_cycle(snapshot.tasks["t-3"], snapshot.tasks.get) == ("t-3", "t-1", "t-2", "t-3")


def test_a_task_that_depends_on_itself_is_a_cycle() -> None:
    snapshot = snapshot_of("status: active\ndepends_on: t-1")
    assert find_cycle(snapshot.tasks["t-1"], snapshot.tasks.get) == ("t-1", "t-1")


def test_a_task_that_leads_into_a_cycle_is_not_in_it() -> None:
    snapshot = snapshot_of("status: active\ndepends_on: t-2", "status: active\ndepends_on: t-2")
    assert find_cycle(snapshot.tasks["t-1"], snapshot.tasks.get) == ()
