"""The rooms: what import-linter cannot see, and that import-linter sees every module."""

import ast
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import twisted_gantry

ROOT = Path(twisted_gantry.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
WIRING = {"centre/tap.py", "daemon/tap.py", "twin/tap.py"}
ROOMS = sorted(path.name for path in ROOT.iterdir() if (path / "__init__.py").exists())


def parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def names_of(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the dotted names that import statements name, and their modules."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def imported(module: Path) -> set[str]:
    """Return the dotted names that a module imports, anywhere in it."""
    return names_of(ast.walk(parsed(module)))


@cache
def calls(module: Path) -> set[str]:
    tree = parsed(module)
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def place(module: Path) -> str:
    """Return a module's path within the package."""
    return module.relative_to(ROOT).as_posix()


def test_the_global_reactor_is_for_the_wiring() -> None:
    """Only the wiring imports the global reactor."""
    found = {place(m) for m in MODULES if "twisted.internet.reactor" in imported(m)}
    assert found == WIRING


def test_nothing_sleeps() -> None:
    """No module blocks the reactor with a sleep."""
    slow = [module for module in MODULES if "sleep" in module.read_text(encoding="utf-8")]
    assert slow  # comments and texts have the word
    found = [place(m) for m in slow if "time.sleep" in calls(m) | imported(m)]
    assert not found


@pytest.mark.parametrize("module", sorted((ROOT / "core").rglob("*.py")), ids=place)
def test_core_takes_only_enumerations_from_wire(module: Path) -> None:
    """The site knows the wire's qualities and values, quotes what came, and knows no message."""
    taken = {name for name in imported(module) if name.startswith("twisted_gantry.wire")}
    known = {"reading.Quality", "reading.Value", "quote.MASK", "quote.quote"}
    known |= {"secret.Secret", "secret.shown", "secret.without", "causes.Fold", "causes.Graph"}
    known |= {"emergencies.EMERGENCIES", "emergencies.is_emergency"}
    assert taken <= {f"twisted_gantry.wire.{each}" for each in known}


def test_no_init_under_twisted() -> None:
    """A package file under `twisted/` would hide the plugin from twistd."""
    assert list((ROOT.parent / "twisted").rglob("__init__.py")) == []


def test_the_top_level_holds_the_rooms() -> None:
    """The package has folders, its version and the public logger, and no other module."""
    files = {path.name for path in ROOT.iterdir() if path.is_file()}
    assert files <= {"__init__.py", "logs.py", "py.typed"}


@pytest.mark.parametrize("init", sorted(ROOT.glob("*/**/__init__.py")), ids=place)
def test_a_package_states_its_law_and_exports_nothing(init: Path) -> None:
    """The `__init__` of a room or a package in it is a docstring."""
    tree = parsed(init)
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def test_no_import_goes_in_a_circle() -> None:
    """The modules can be sorted so that each imports only those before it."""
    modules = {
        ".".join(m.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): m
        for m in MODULES
    }
    graph = {
        name: {
            found
            for each in names_of(parsed(module).body)
            for found in (each, each.rpartition(".")[0])
            if found in modules
        }
        for name, module in modules.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_a_module_outside_the_layers_fails_the_contract(tmp_path: Path) -> None:
    """A new module at the top level must be given a layer before the check passes."""
    pytest.importorskip("importlinter")
    without = shutil.ignore_patterns("__pycache__", "*.html", "*.js", "*.css", "*.svg", "*.toml")
    shutil.copytree(ROOT, tmp_path / ROOT.name, ignore=without)
    shutil.copy(ROOT.parent / "setup.cfg", tmp_path)
    (tmp_path / ROOT.name / "stray.py").touch()
    checked = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 1, checked.stderr
    assert "stray" in checked.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_no_class_name_twice_in_a_room(room: str) -> None:
    """A public name means one class in its room, so that a reader need not ask which."""
    names = Counter(
        node.name
        for module in (ROOT / room).rglob("*.py")
        for node in parsed(module).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, times in names.items() if times > 1] == []


def test_every_app_tells_the_length_of_its_answers() -> None:
    """A klein app is an `App` or served by `ConstantRoutes`: both give whole answers a length."""
    plain = [
        module
        for module in ROOT.rglob("*.py")
        if "Klein()" in (text := module.read_text(encoding="utf-8"))
        and "ConstantRoutes" not in text
        and "EntryPoint" not in text
    ]
    assert plain == []
