"""What import-linter cannot see: single names that belong to one room."""

import ast
from pathlib import Path

import pytest

import twisted_gantry

ROOT = Path(twisted_gantry.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
WIRING = {"daemon/tap.py", "twin/tap.py"}


def imported(module: Path) -> set[str]:
    """Return the dotted names that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def calls(module: Path) -> set[str]:
    """Return what a module calls, as dotted names."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def place(module: Path) -> str:
    """Return a module's path within the package."""
    return module.relative_to(ROOT).as_posix()


def test_the_global_reactor_is_for_the_wiring() -> None:
    """Only the wiring imports the global reactor."""
    found = {place(m) for m in MODULES if "twisted.internet.reactor" in imported(m)}
    assert found == WIRING


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_nothing_sleeps(module: Path) -> None:
    """No module blocks the reactor with a sleep."""
    assert "time.sleep" not in calls(module) | imported(module)


@pytest.mark.parametrize("module", sorted((ROOT / "core").glob("*.py")), ids=place)
def test_core_takes_only_enumerations_from_wire(module: Path) -> None:
    """The site knows the wire's qualities and values, and no message."""
    taken = {name for name in imported(module) if name.startswith("twisted_gantry.wire")}
    assert taken <= {"twisted_gantry.wire.reading.Quality", "twisted_gantry.wire.reading.Value"}


def test_no_init_under_twisted() -> None:
    """A package file under `twisted/` would hide the plugin from twistd."""
    assert list((ROOT.parent / "twisted").rglob("__init__.py")) == []
