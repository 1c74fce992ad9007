"""The example of the tutorial as another package has it: built, installed, tested and run."""

import os
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.daemon.process import free_port
from tests.test_packaging import checkout as checkout
from tests.test_packaging import run

pytestmark = pytest.mark.long

EXAMPLE = Path(__file__).parents[1] / "docs" / "example-device"
SITE = """
[gantry]
id = "G000211001002110010"
[[device]]
name = "m1"
kind = "json-meter"
url = "http://127.0.0.1:{meter}"
token = "any"
[web]
listen = "tcp:{web}:interface=127.0.0.1"
"""


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[int]:
    """The web server of the tutorial, which plays a meter; the port."""
    folder = tmp_path / "meter"
    folder.mkdir()
    (folder / "index.html").write_text('{"voltage": 230.5, "power": 1200, "on": true}')

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_example_in_a_clean_environment(checkout: Path, tmp_path: Path, meter: int) -> None:
    """A wheel of ours and one of the example in a new environment: its tests pass, `check` knows
    the kind, and a gantry shows a live value.
    """
    place, wheels = tmp_path / "venv", tmp_path / "wheels"
    shutil.copytree(EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "venv", "--without-pip", str(place))
    python = str(place / "bin" / "python")
    # The libraries are those of this environment; its own editable install is not among them.
    libraries = os.pathsep.join(site.getsitepackages())
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps")
    for source in (checkout, tmp_path / "example"):
        run(
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", str(wheels), str(source)),
        )
    run(*pip, *map(str, sorted(wheels.glob("*.whl"))))
    where = run(python, "-c", "import twisted_gantry as t; print(t.__file__)", PYTHONPATH=libraries)
    assert str(place) in where
    tests = (python, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider")
    assert "3 passed" in run(*tests, str(tmp_path / "example"), PYTHONPATH=libraries)

    web, config = free_port(), tmp_path / "site.toml"
    config.write_text(SITE.format(meter=meter, web=web), encoding="utf-8")
    twistd = ("-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile=")
    gantry = ("gantry", "--config", str(config), "--data", str(tmp_path / "data"))
    ctl = (str(place / "bin" / "gantryctl"), "--url", f"http://127.0.0.1:{web}")
    assert "nothing is wrong" in run(*ctl, "check", str(config), PYTHONPATH=libraries)
    daemon = subprocess.Popen(
        (python, *twistd, *gantry),
        env={**os.environ, "PYTHONPATH": libraries},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert "230.5" in shown(ctl, libraries)
    finally:
        daemon.terminate()
        daemon.wait(10)


def shown(ctl: tuple[str, ...], libraries: str) -> str:
    """Return the points once the voltage is there; each look takes half a second."""
    env, text = {**os.environ, "PYTHONPATH": libraries}, ""
    for _ in range(60):
        done = subprocess.run((*ctl, "points", "m1."), env=env, capture_output=True, check=False)
        text = done.stdout.decode() + done.stderr.decode()
        if "230.5" in text:
            break
    return text
