"""Where a tasks directory lies: linked worktrees share one queue, file systems without dependable locks are refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dibs.init_tasks_dir import init_tasks_dir
from dibs.session import Session
from dibs.store.errors import SettingsError
from dibs.store.places import file_system_of, in_main_worktree, is_trusted, linked_worktrees, repository_of
from dibs.store.settings import find_tasks_dir
from dibs.store.task_store import TaskStore
from support import call, claim, write_task

MOUNTS = """\
22 27 0:21 / / rw,relatime - ext4 /dev/vda rw
30 22 0:50 / /home rw shared:1 master:2 - btrfs /dev/vdb rw
31 30 0:51 / /home/u/far\\040away rw - nfs4 server:/x rw
32 30 0:52 / /home/u/sshfs rw - fuse.sshfs u@h:/ rw
33 30 0:53 / /mnt/shared rw - virtiofs shared rw
34 22 0:54 / /home/u/over rw - ext4 /dev/vdc rw
35 34 0:55 / /home/u/over rw - cifs //server/share rw
a line of another form
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/tasks", "ext4"),
        ("/home/u/tasks", "btrfs"),
        ("/home/u/far away/tasks", "nfs4"),
        ("/home/u/far", "btrfs"),
        ("/home/u/sshfs/x/tasks", "fuse.sshfs"),
        ("/mnt/shared", "virtiofs"),
        ("/home/u/over/tasks", "cifs"),
    ],
)
def test_the_deepest_and_latest_mount_names_the_file_system(path: str, kind: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse", "fuse.sshfs", "fuseblk"])
def test_network_and_fuse_are_not_trusted(kind: str) -> None:
    assert not is_trusted(kind)


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "xfs", "tmpfs", "overlay", "zfs", "apfs", "", "fusectl"])
def test_local_file_systems_and_unknown_ones_are(kind: str) -> None:
    assert is_trusted(kind)


@pytest.mark.usefixtures("far_away")
def test_nothing_is_claimed_where_locks_cannot_be_trusted_but_looking_works(tasks_dir: Path, session: Session) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=r"of type nfs4, whose locks cannot be trusted.*trust_file_system"):
        call(session, "claim_next_task")
    assert path.read_bytes() == before
    assert not (tasks_dir / ".dibs").exists()
    assert call(session, "get_index_stats").ready == 1


@pytest.mark.usefixtures("far_away")
def test_who_knows_better_may_say_so(tasks_dir: Path, session: Session) -> None:
    write_task(tasks_dir, "t-1")
    with pytest.raises(SettingsError):
        call(session, "claim_next_task")
    (tasks_dir / "settings.json").write_text('{"trust_file_system": true}', encoding="utf-8")
    assert claim(session).task.id == "t-1"


# linked worktrees


def git(folder: Path, *words: str) -> None:
    name = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """A repository with a tasks directory, and a worktree of it beside."""
    folder = tmp_path / "main"
    write_task(folder / "tasks", "t-1", files=["src/a.py"])
    write_task(folder / "tasks", "t-2", files=["src/b.py"])
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "x")
    git(folder, "worktree", "add", "../linked")
    return folder


def test_a_linked_worktree_works_on_the_main_worktrees_tasks(main: Path) -> None:
    linked = main.parent / "linked"
    assert (linked / "tasks" / "t-1.md").exists()
    for cwd in (linked, linked / "tasks", main):
        assert find_tasks_dir(None, environment={}, cwd=cwd) == main / "tasks"
    assert find_tasks_dir(str(linked / "tasks"), environment={}) == main / "tasks"
    assert find_tasks_dir(None, environment={"DIBS_TASKS_DIR": str(linked / "tasks")}) == main / "tasks"


def test_agents_in_two_worktrees_never_get_the_same_task(main: Path) -> None:
    found = []
    for worktree in (main, main.parent / "linked"):
        store = TaskStore(find_tasks_dir(None, environment={}, cwd=worktree))
        found.append(claim(Session(store, client=worktree.name)).task.id)
    assert sorted(found) == ["t-1", "t-2"]
    assert not (main.parent / "linked" / "tasks" / ".dibs").exists()


def test_tasks_that_git_ignores_are_found_from_a_linked_worktree_all_the_same(main: Path) -> None:
    git(main, "rm", "-r", "--cached", "tasks")
    (main / ".gitignore").write_text("tasks/\n", encoding="utf-8")
    git(main, "add", ".gitignore")
    git(main, "commit", "-m", "y")
    git(main, "worktree", "add", "-b", "fresh", "../fresh")
    deeper = main.parent / "fresh" / "deeper"
    deeper.mkdir()
    assert not (main.parent / "fresh" / "tasks").exists()
    assert find_tasks_dir(None, environment={}, cwd=deeper) == main / "tasks"


def test_tasks_that_only_a_linked_worktree_has_are_refused_with_what_to_do(main: Path) -> None:
    linked = main.parent / "linked"
    (main / "tasks").rename(main / "elsewhere")
    with pytest.raises(SettingsError, match=f"dibs init --tasks-dir {main / 'tasks'}"):
        find_tasks_dir(None, environment={}, cwd=linked)


def test_init_in_a_linked_worktree_makes_the_main_worktrees_directory(main: Path) -> None:
    (main / "tasks").rename(main / "elsewhere")
    linked = main.parent / "linked"
    git(linked, "rm", "-r", "tasks")
    assert init_tasks_dir(None, linked).tasks_dir == main / "tasks"
    assert find_tasks_dir(None, environment={}, cwd=linked) == main / "tasks"


def test_submodules_bare_repositories_and_odd_git_files_are_left_alone(main: Path, tmp_path: Path) -> None:
    git(main, "-c", "protocol.file.allow=always", "submodule", "add", str(main), "sub")
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--bare", str(main), str(bare))
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / ".git").write_bytes(b"gitdir: \xff\x00nowhere")
    for folder in (main / "sub" / "tasks", bare / "tasks", odd / "tasks", main / "tasks"):
        assert in_main_worktree(folder) == folder


def test_a_folder_that_cannot_be_looked_into_is_in_no_worktree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **how: bool) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(Path, "exists", refuse)
    assert in_main_worktree(tmp_path) == tmp_path
    assert repository_of(tmp_path / "tasks") == tmp_path


def test_the_linked_worktrees_of_a_repository_are_found(main: Path, tmp_path: Path) -> None:
    assert linked_worktrees(main) == [tmp_path / "linked"]
    git(main, "worktree", "add", "-b", "gone", "../gone")
    (tmp_path / "gone").rename(tmp_path / "moved")
    (main / ".git" / "worktrees" / "odd").mkdir()
    (main / ".git" / "worktrees" / "odd" / "gitdir").write_bytes(b"\xff")
    assert linked_worktrees(main) == [tmp_path / "linked"]
    assert linked_worktrees(tmp_path / "linked") == linked_worktrees(tmp_path) == []


@pytest.mark.parametrize("name", ["bare.git", "project/.git"])
def test_without_a_main_worktree_one_directory_has_to_be_named(main: Path, tmp_path: Path, name: str) -> None:
    bare = tmp_path / name
    git(tmp_path, "clone", "--bare", str(main), str(bare))
    git(bare, "worktree", "add", str(tmp_path / "one"), "main")
    one = tmp_path / "one"
    with pytest.raises(SettingsError, match=r"without a main worktree.*DIBS_TASKS_DIR"):
        find_tasks_dir(None, environment={}, cwd=one)
    assert find_tasks_dir(str(one / "tasks"), environment={}) == one / "tasks"
    assert find_tasks_dir(None, environment={"DIBS_TASKS_DIR": str(one / "tasks")}) == one / "tasks"


def test_a_git_folder_that_lies_apart_does_not_say_where_the_main_worktree_is(main: Path, tmp_path: Path) -> None:
    apart = tmp_path / "apart"
    git(tmp_path, "clone", "--separate-git-dir", str(tmp_path / "sep.git"), str(main), str(apart))
    git(apart, "worktree", "add", "-b", "x", "../beside")
    assert find_tasks_dir(None, environment={}, cwd=apart) == apart / "tasks"
    with pytest.raises(SettingsError, match="without a main worktree"):
        find_tasks_dir(None, environment={}, cwd=tmp_path / "beside")


def test_the_worktrees_of_a_submodule_share_the_submodules_directory(main: Path, tmp_path: Path) -> None:
    git(main, "-c", "protocol.file.allow=always", "submodule", "add", str(main), "sub")
    git(main / "sub", "worktree", "add", "-b", "x", str(tmp_path / "of-sub"))
    assert find_tasks_dir(None, environment={}, cwd=tmp_path / "of-sub") == main / "sub" / "tasks"


@pytest.mark.parametrize("named", [True, False])
def test_a_worktree_whose_repository_moved_away_is_no_queue_of_its_own(main: Path, tmp_path: Path, named: bool) -> None:
    main.rename(tmp_path / "moved")
    linked = tmp_path / "linked"
    with pytest.raises(SettingsError, match="git worktree repair"):
        find_tasks_dir(str(linked / "tasks") if named else None, environment={}, cwd=linked)


def test_a_named_directory_that_git_ignores_is_the_main_worktrees_too(main: Path) -> None:
    linked = main.parent / "linked"
    git(linked, "rm", "-r", "tasks")
    assert find_tasks_dir(str(linked / "tasks"), environment={}) == main / "tasks"


def test_full_paths_in_files_count_however_the_repository_is_reached(main: Path, tmp_path: Path) -> None:
    link = tmp_path / "by-link"
    link.symlink_to(main)
    for n, top in enumerate((link, main, main.parent / "linked")):
        write_task(main / "tasks", f"u-{n}", files=[f"{top}/src/a.py"])
    session = Session(TaskStore(link / "tasks"), client="x")
    claim(session, "t-1")
    for n in range(3):
        assert "reserved for t-1" in call(session, "explain_task", id=f"u-{n}").message


def test_a_link_to_a_directory_counts_as_what_it_points_to(main: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(main.parent / "linked" / "tasks")
    assert in_main_worktree(link) == main / "tasks"
    plain = tmp_path / "plain"
    plain.symlink_to(main / "tasks")
    assert in_main_worktree(plain) == plain


def test_paths_in_files_are_relative_to_the_repository_the_tasks_lie_in(main: Path, tmp_path: Path) -> None:
    assert repository_of(main / "backlog" / "tasks") == main
    assert repository_of(tmp_path / "no-git" / "tasks") == tmp_path / "no-git"
    store = TaskStore(main / "tasks")
    write_task(main / "tasks", "t-3", files=[f"{main}/src/a.py"])
    session = Session(store, client="x")
    claim(session, "t-1")
    assert "reserved for t-1" in call(session, "explain_task", id="t-3").message
