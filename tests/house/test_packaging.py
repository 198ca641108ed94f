"""What is built and installed: the wheel has our files and no others, and runs from nothing but itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import pytest
from tree import REPO, ROOTS

from dibs import __version__

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "tools", "server")
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built offline from a copy of what it is built from."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("out")
    for name in BUILT_FROM:
        source = REPO / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)
    (copy / "tools" / "dibs" / "__pycache__").mkdir()
    (copy / "tools" / "dibs" / "__pycache__" / "stray.pyc").write_bytes(b"not to be shipped")
    build = f"import hatchling.build; print(hatchling.build.build_wheel({str(out)!r}))"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    (built,) = out.iterdir()
    return built


def test_the_wheel_has_our_files_and_no_others(wheel: Path) -> None:
    ours = {
        f"{package}/{path.relative_to(root).as_posix()}"
        for package, root in ROOTS.items()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    about = f"dibs-{__version__}.dist-info"
    described = {f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    assert set(zipfile.ZipFile(wheel).namelist()) == ours | described
    assert {"dibs/py.typed", "dibs_server/py.typed", "dibs/registry.py", "dibs_server/__main__.py"} <= ours


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        about = f"dibs-{__version__}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{about}/METADATA").decode())
        entry_points = ConfigParser()
        entry_points.read_string(archive.read(f"{about}/entry_points.txt").decode())
    assert (metadata["Name"], metadata["Version"]) == ("dibs", __version__)
    assert metadata["License-Expression"] == "MIT"
    assert {section: dict(entry_points[section]) for section in entry_points.sections()} == {
        "console_scripts": {"dibs": "dibs_server.__main__:main"}
    }
    required = {line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert {name_of(line) for line in required} == {name_of(line) for line in PROJECT["dependencies"]}


def test_it_runs_from_the_unpacked_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    program = "import dibs, dibs_server.__main__ as m; print(dibs.__file__); print(m.__file__); m.main()"
    result = subprocess.run(
        [sys.executable, "-c", program, "--version"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    library, door, version = result.stdout.splitlines()
    assert library == str(tmp_path / "dibs" / "__init__.py")
    assert door == str(tmp_path / "dibs_server" / "__main__.py")
    assert version == f"dibs, version {__version__}"


def name_of(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[]", requirement)[0]


def test_the_dependencies_are_these_and_each_is_used() -> None:
    names = {name_of(line) for line in PROJECT["dependencies"]}
    assert names == {"mcp", "pydantic", "filelock", "python-frontmatter", "click", "rich", "psutil"}
    code = "\n".join(path.read_text(encoding="utf-8") for root in ROOTS.values() for path in root.rglob("*.py"))
    for name in names:
        imported = name.removeprefix("python-")
        assert re.search(rf"^\s*(?:import|from) {imported}\b", code, re.MULTILINE), name


def test_the_sdk_s_major_version_is_held() -> None:
    (mcp,) = [line for line in PROJECT["dependencies"] if name_of(line) == "mcp"]
    assert mcp.replace(" ", "").endswith(",<3")
    assert ">=2.1" in mcp
