"""The source tree as the tests of the house see it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
ROOTS = {"dibs": REPO / "tools" / "dibs", "dibs_server": REPO / "server" / "dibs_server"}
NOT_OURS = {"__pycache__", "build", "dist", "node_modules"}
KEPT = {".ci", ".github", ".claude-plugin"}


@cache
def modules() -> dict[str, Path]:
    """Every module of both packages by its dotted name."""
    found = {}
    for package, root in ROOTS.items():
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return found


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """What a module imports, anywhere in it: the module's full name, and the name taken out of it ("" for all)."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            yield from ((node.module or "", alias.name) for alias in node.names)


def text_files() -> Iterator[tuple[Path, str]]:
    """Every text file of the tree, but for what is built and for the dot-folders of tools."""
    for folder, folders, files in os.walk(REPO):
        folders[:] = sorted(name for name in folders if name not in NOT_OURS and (name[0] != "." or name in KEPT))
        for path in (Path(folder, name) for name in sorted(files)):
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
