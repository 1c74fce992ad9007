"""The package as it is installed: from a wheel, and editable."""

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

import twisted_gantry

TOP = Path(__file__).parents[1]
SHIPPED = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "twisted_gantry", "twisted")


def run(*command: str, **env: str) -> str:
    """Run a command, and return what it prints; `PYTHONPATH` is empty unless it is given."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=110,
        cwd="/",
        env={**os.environ, "PYTHONPATH": "", **env},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is shipped, so that a build leaves nothing in the checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__", "dropin.cache", "*.egg-info")
    for name in SHIPPED:
        source = TOP / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy(source, copy / name)
    return copy


@pytest.mark.long
@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_twistd_lists_the_plugins(checkout: Path, tmp_path: Path, editable: bool) -> None:
    """`twistd --help` lists all three plugins, and gantryctl runs, however it is installed."""
    place = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(place))
    python = str(place / "bin" / "python")
    # The libraries are those of this environment; its own editable install is not among them.
    libraries = os.pathsep.join(site.getsitepackages())
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps")
    if editable:
        run(*pip, "--no-build-isolation", "--editable", str(checkout), PYTHONPATH=libraries)
    else:
        run(
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", str(tmp_path), str(checkout)),
        )
        [wheel] = tmp_path.glob("*.whl")
        run(*pip, str(wheel))
    twistd = "from twisted.scripts.twistd import run; run()"
    shown = run(python, "-c", twistd, "--help", PYTHONPATH=libraries)
    where = run(python, "-c", "import twisted_gantry as t; print(t.__file__)", PYTHONPATH=libraries)
    assert str(checkout if editable else place) in where
    lines = [line.split()[0] for line in shown.splitlines() if line.startswith("    gantry")]
    assert lines == ["gantry", "gantry-centre", "gantry-twin"]
    options = run(python, "-c", twistd, "gantry", "--help", PYTHONPATH=libraries)
    for option in ("--config=", "--demo", "--data=", "--web=", "--check"):
        assert option in options
    version = run(str(place / "bin" / "gantryctl"), "--version", PYTHONPATH=libraries)
    assert twisted_gantry.__version__ in version
    # What is no Python must be in the package, too; the demo is checked as far as it goes offline.
    checked = run(python, "-c", twistd, "gantry", "--demo", "--check", PYTHONPATH=libraries)
    assert "in order" in checked
    page = "from twisted_gantry.web.page.resource import page_of_site; page_of_site()"
    run(python, "-c", page, PYTHONPATH=libraries)
    page = "from twisted_gantry.centre.web.page.resource import page_of_centre; page_of_centre()"
    run(python, "-c", page, PYTHONPATH=libraries)
