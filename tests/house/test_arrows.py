"""The plan of the house, held by its imports: doors use verbs, verbs use the store, and nothing points back."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from tree import REPO, imports, modules, parsed

from dibs_server.dispatch.registry import ALL_TOOLS

DOORS = ("dibs_server.mcp_server", "dibs_server.cli")
SHARED_BY_DOORS = ("dibs_server.dispatch", "dibs_server.clients", "dibs_server.race")
THE_ONE_CROSSING = ("dibs_server.cli.serve_command", "dibs_server.mcp_server.serve")
NOT_IN_THE_LIBRARY = {"mcp", "click", "rich", "argparse"}


def below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def ours(path: Path) -> set[str]:
    """The modules of ours that a module imports; ``from package import module`` counts as that module."""
    known = modules()
    found = set()
    for name, taken in imports(path):
        if name.partition(".")[0] in ("dibs", "dibs_server"):
            found.add(f"{name}.{taken}" if f"{name}.{taken}" in known else name)
    return found


def test_the_tree_is_seen_whole() -> None:
    assert {"dibs", "dibs.registry", "dibs.store.ledger", "dibs_server.cli.program"} <= modules().keys()


def test_arrows_point_from_doors_to_verbs_to_the_store() -> None:
    for name, path in modules().items():
        for imported in ours(path):
            check_arrow(name, imported)


def check_arrow(name: str, imported: str) -> None:
    told = f"{name} imports {imported}"
    assert imported in modules(), f"{told}, which is not a module"
    if below(name, "dibs"):
        assert below(imported, "dibs"), f"the library needs a door: {told}"
    if below(name, "dibs.store"):
        # the package itself holds nothing but the version
        assert imported == "dibs" or below(imported, "dibs.store"), f"the store needs more than itself: {told}"
    if below(name, "dibs_server.clients"):
        assert not any(below(imported, door) for door in DOORS), f"what is known of clients needs a door: {told}"
    door = next((door for door in DOORS if below(name, door)), None)
    if door and below(imported, "dibs_server") and (name, imported) != THE_ONE_CROSSING:
        assert any(below(imported, allowed) for allowed in (door, *SHARED_BY_DOORS)), f"a door needs another: {told}"


def test_the_race_uses_nothing_of_what_it_judges() -> None:
    for name, path in modules().items():
        if below(name, "dibs_server.race"):
            assert all(below(imported, "dibs_server.race") for imported in ours(path)), name


def test_the_library_knows_no_protocol_and_no_terminal() -> None:
    for name, path in modules().items():
        used = {imported.partition(".")[0] for imported, _ in imports(path)}
        assert not below(name, "dibs") or used.isdisjoint(NOT_IN_THE_LIBRARY), name


def test_only_public_names_of_the_sdk_are_used() -> None:
    for name, path in modules().items():
        for imported, taken in imports(path):
            if imported.partition(".")[0] in ("mcp", "anyio", "filelock", "pydantic", "click", "rich", "frontmatter"):
                private = any(part.startswith("_") for part in [*imported.split("."), taken])
                assert not private, f"{name} imports {taken} of {imported}"


def test_only_the_command_line_prints() -> None:
    for name, path in modules().items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                assert below(name, "dibs_server.cli"), f"{name}, line {node.lineno}, prints"


def test_only_the_settings_read_the_environment() -> None:
    for name, path in modules().items():
        reads = [
            node.lineno
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
        ]
        reads += [0 for imported, taken in imports(path) if imported == "os" and taken in ("environ", "getenv")]
        assert not reads or name == "dibs.store.settings" or below(name, "dibs_server"), (name, reads)


def test_every_verb_of_the_table_is_a_module_of_its_name() -> None:
    for row in ALL_TOOLS:
        assert row.verb.__module__ == f"{row.package}.{row.name}"
        assert row.package in ("dibs", "dibs_server.dispatch")
        assert row.verb.__name__ == row.name


def test_no_folder_and_no_module_is_named_like_one_of_python_s() -> None:
    names = {part for name in modules() for part in name.split(".")}
    names |= {path.name for path in REPO.iterdir() if path.is_dir()}
    names |= {path.name for path in (REPO / "tests").iterdir() if path.is_dir()}
    names |= {path.stem for path in (REPO / "tests").rglob("*.py")}
    assert names & sys.stdlib_module_names - {"__main__"} == set()


def test_import_names_are_none_that_users_have_themselves() -> None:
    assert not (REPO / "tools" / "__init__.py").exists()
    assert not (REPO / "server" / "__init__.py").exists()
