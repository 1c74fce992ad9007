"""The demonstration's site on free ports: the twin and a real gantry, in processes of their own."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.daemon.process import Daemon, TimedOut
from twisted_gantry.twin.service import CONTROL

# The ports of demo.toml, and the faces of the twin that listen there.
PORTS = {
    2390: "ups-tcp",
    2380: "ups-http",
    4700: "cfos",
    4800: "ems",
    3700: "cabinet",
    8088: "etc",
    63321: "fogslink",
    8081: CONTROL,
}
VIEWS = {
    "overview": "/",
    "device": "/devices/ups1",
    "alarms": "/alarms",
    "reports": "/reports",
    "audit": "/audit",
}
"""A path of each view in the demonstration."""
OWN = {"callback": 9000, "remotecontrol": 3699, "monitor": 8082}
_STEADY = "\n[alarms]\nflap_limit = 1000\n"
"""Tests that follow each other on one site fail the mains more often than a site does."""


def eventually(what: str, holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return the first true result of `holds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := holds():
            return result
        time.sleep(0.05)
    raise TimedOut(what)


class Demo:
    """A running demonstration: `url` is where its page is. `more` is put behind its settings."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self._kept = {name: _keep_port() for name in (*OWN, "web")}
        own = {name: int(kept.getsockname()[1]) for name, kept in self._kept.items()}
        monitor = f"http://127.0.0.1:{own['monitor']}/monitor.do"
        self._twin = subprocess.Popen(
            [sys.executable, "-m", "tests.web.browser.twin", monitor], stdout=subprocess.PIPE
        )
        assert self._twin.stdout is not None
        faces = json.loads(self._twin.stdout.readline())
        text = files("twisted_gantry.config").joinpath("demo.toml").read_text("utf-8")
        given = {port: faces[face] for port, face in PORTS.items()}
        given |= {port: own[name] for name, port in OWN.items()}
        for port, mine in given.items():
            assert f":{port}" in text
            text = text.replace(f":{port}", f":{mine}")
        self._config = folder / "site.toml"
        self._config.write_text(text + _STEADY + more, encoding="utf-8")
        self._web = f"tcp:{own['web']}:interface=127.0.0.1"
        self.url = f"http://127.0.0.1:{own['web']}"
        self.control = f"http://127.0.0.1:{faces[CONTROL]}/twin/v1"
        self.daemon = self.start()

    def start(self) -> Daemon:
        """Start the gantry, again after a `kill` of its daemon."""
        self.daemon = Daemon(
            self.folder,
            *("gantry", "--config", str(self._config), "--web", self._web),
            *("--data", str(self.folder / "data")),
        )
        return self.daemon

    def send(self, signal_: signal.Signals) -> None:
        """Send a signal to the gantry: SIGSTOP freezes it, SIGCONT lets it go on."""
        self.daemon.process.send_signal(signal_)

    def get(self, path: str) -> Any:
        """Return JSON of the local API; None while there is no answer."""
        return _ask("GET", f"{self.url}/api/v1/{path}")

    def post(self, path: str, content: Any) -> Any:
        """Post to the local API."""
        return _ask("POST", f"{self.url}/api/v1/{path}", content)

    def delete(self, path: str) -> Any:
        """Delete by the local API."""
        return _ask("DELETE", f"{self.url}/api/v1/{path}")

    def world(self, **changes: Any) -> None:
        """Change the physical world; `__` in a name stands for a dot."""
        named = {name.replace("__", "."): value for name, value in changes.items()}
        _ask("PATCH", f"{self.control}/world", named)

    def fault(self, face: str, settings: dict[str, Any] | None) -> None:
        """Let a face of the twin go wrong, or with None work again."""
        method = "DELETE" if settings is None else "PUT"
        _ask(method, f"{self.control}/faults/{face}", settings)

    def active(self) -> set[str]:
        """Return the names of the active alarms; none while there is no answer."""
        found = self.get("alarms?active=1") or {"alarms": []}
        return {each["alarm"] for each in found["alarms"]}

    def alarm(self, name: str) -> Any:
        """Return an active alarm."""
        [found] = [e for e in self.get("alarms?active=1")["alarms"] if e["alarm"] == name]
        return found

    def told(self, name: str) -> bool:
        """Tell whether somebody was called about an alarm."""
        found = _ask("GET", f"{self.control}/notifications")["notifications"]
        return any(alarm["alarm"] == name for each in found for alarm in each["body"]["alarms"])

    @staticmethod
    def seconds(at: str) -> float:
        """Return a time of the API in seconds since 1970."""
        return datetime.fromisoformat(at).timestamp()

    def until_quiet(self) -> None:
        """Wait until everything is online, no alarm is active, nobody works there, and no battery
        is tested.
        """

        def quiet() -> bool:
            paths = ("site", "alarms?active=1", "maintenance", "points?prefix=ups")
            answers = [self.get(path) for path in paths]
            if None in answers:
                return False
            site, alarms, muted, points = answers
            states = {each["state"] for each in (*site["devices"], *site["uplinks"])}
            lines = {e["value"] for e in points["points"] if e["point"].endswith(".state")}
            well = states == {"online"} and lines == {"line"}
            return well and not alarms["alarms"] and not muted["maintenance"]

        eventually("a site that is well", quiet, 300.0)

    def close(self) -> None:
        """End both processes."""
        self.send(signal.SIGCONT)
        self.daemon.kill()
        self._twin.kill()
        self._twin.wait()
        assert self._twin.stdout is not None
        self._twin.stdout.close()
        for kept in self._kept.values():
            kept.close()


def _keep_port() -> socket.socket:
    """Keep a port of loopback for a server to come: no other program gets it, also while the
    server is down.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept


def _ask(method: str, url: str, content: Any = None) -> Any:
    body = None if content is None else json.dumps(content).encode()
    headers = {"Content-Type": "application/json"}
    try:
        with urlopen(Request(url, body, headers, method=method), timeout=30) as answer:
            return json.load(answer)
    except HTTPError as error:
        with error:
            return json.load(error)
    except (URLError, OSError):
        return None
