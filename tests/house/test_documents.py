"""What the documents say to type exists, and no document, source or script knows the machine it was written on."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tree import REPO, text_files

from dibs import __version__
from dibs.store.settings import Settings
from dibs.store.task import make_task
from dibs.store.task_file import read_task_file
from dibs_server.cli.program import program
from documents import fenced

INLINE = re.compile(r"`dibs ([^`]+)`")
DOCUMENTS = sorted([*REPO.glob("*.md"), *(REPO / "docs").glob("*.md")])
# in two parts, so that this file is not among what it finds
NEEDLES = ("/w" + "ork/", "/tm" + "p/dev", "/ro" + "ot/", "../sha" + "red", "pythonhos" + "ted", "artifac" + "tory")
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def shell_lines(document: Path) -> Iterator[str]:
    for block in [*fenced(document, "sh"), *fenced(document, "bash")]:
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines() if line.strip())


def commands(document: Path, name: str) -> Iterator[list[str]]:
    """The arguments of each call of a program in the document's shell blocks, also behind a pipe or ``&&``."""
    for line in shell_lines(document):
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), ";"]:
            if word not in ("|", "&&", ";"):
                words.append(word)
                continue
            if words and Path(words[0]).name == name:
                yield words[1:]
            words = []


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_the_readme_shows_the_two_commands_and_the_program() -> None:
    readme = REPO / "README.md"
    assert {"demo", "test"} <= {words[0] for words in commands(readme, "make")}
    assert {"init", "claim", "complete"} <= {words[0] for words in commands(readme, "dibs")}


@every_document
def test_make_targets_in_documents_exist(document: Path) -> None:
    for words in commands(document, "make"):
        targets = {word for word in words if "=" not in word and not word.startswith("-")}
        assert targets <= makefile_targets()


@every_document
def test_dibs_commands_in_documents_exist_with_their_flags(document: Path) -> None:
    for words in commands(document, "dibs"):
        check_words(words)


def check_words(words: list[str]) -> None:
    command = command_of(words)
    if command is None:
        assert words[0] in ("--help", "--version"), words
        return
    options = [param for param in command.params if isinstance(param, click.Option)]
    ours = words[: words.index("--")] if "--" in words else words  # what follows are another program's
    given = [word.partition("=")[0] for word in ours if word.startswith("--")]
    assert set(given) <= flags_of(command), words
    needed = {flag for option in options if option.required for flag in option.opts}
    assert needed <= set(given), words


def command_of(words: list[str]) -> click.Command | None:
    """The subcommand that the words begin with, which may be one of a group."""
    found = program.commands.get(words[0])
    return found.commands.get(words[1]) if isinstance(found, click.Group) and len(words) > 1 else found


def flags_of(command: click.Command) -> set[str]:
    return {flag for param in command.params for flag in param.opts} | {"--help"}


@every_document
def test_dibs_commands_in_running_text_exist_with_their_flags(document: Path) -> None:
    for text in INLINE.findall(document.read_text(encoding="utf-8")):
        command = command_of(text.split())
        assert command is not None or text.startswith("-"), text
        assert set(re.findall(r"--[a-z][a-z-]*", text)) <= flags_of(command or program), text


def test_json_for_clients_is_json() -> None:
    blocks = fenced(REPO / "docs" / "clients.md", "json")
    assert blocks
    for block in blocks:
        (server,) = json.loads(block)["mcpServers"].values()
        assert server["args"][0] in program.commands


@pytest.mark.parametrize("page", ["triage.md", "batches.md"])
def test_settings_in_documents_are_settings(page: str) -> None:
    blocks = fenced(REPO / "docs" / page, "json")
    assert blocks
    for block in blocks:
        assert Settings.model_validate_json(block) != Settings()


def test_the_readme_s_task_is_a_valid_task(tmp_path: Path) -> None:
    (block,) = fenced(REPO / "README.md", "markdown")
    file = read_task_file(block.encode())
    assert file is not None
    task = make_task(file, "x.md", Settings())
    assert (task.status, task.assignees, task.files) == ("active", ("codex",), ("text/preface.md",))


def test_the_changelog_has_this_version() -> None:
    text = (REPO / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?v?{re.escape(__version__)}\b", text, re.MULTILINE)


def test_ci_runs_a_script_that_makes_what_the_makefile_has() -> None:
    script = REPO / ".ci" / "run"
    assert os.access(script, os.X_OK)
    made = set(re.findall(r"\bmake (\w+)", script.read_text(encoding="utf-8")))
    assert {"lint", "clients", "test"} == made
    assert {"demo", "bench", *made} <= makefile_targets()


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    paths = {path for path, _ in text_files()}
    assert {REPO / "README.md", REPO / "Makefile", REPO / ".ci" / "run", Path(__file__).resolve()} <= paths
    needles = {*NEEDLES, f"{REPO}/"}
    found = [(path.relative_to(REPO), needle) for path, text in text_files() for needle in needles if needle in text]
    assert found == []


def test_no_file_names_a_package_index() -> None:
    pattern = re.compile(
        r"https?://[^\s/\"')]*(?:pypi|registry|nexus|mirror|proxy)[^\s/\"')]*|--(?:extra-)?index-" + "url"
    )
    found = [(path.relative_to(REPO), hit[0]) for path, text in text_files() if (hit := pattern.search(text))]
    assert found == []
