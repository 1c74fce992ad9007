"""The processes of a drill: fronts under twistd, and a proxy before the database."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from tests.daemon.process import free_port

STARTS_WITHIN = 60.0  # seconds
_LOOK = 0.02


class Front:
    """A process of the centre that takes uploads at `port`; a worker takes none, and has a page."""

    def __init__(
        self, folder: Path, url: str, role: str = "front", key: Path | None = None
    ) -> None:
        self.port, self._cloud, self._web = free_port(), free_port(), free_port()
        self.folder, self._url, self._role = folder, url, role
        folder.mkdir(exist_ok=True)
        if key is not None:
            shutil.copy(key, folder / "centre.key")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until the port takes connections."""
        end = {
            name: f"tcp:{port}:interface=127.0.0.1"
            for name, port in (("monitor", self.port), ("cloud", self._cloud), ("web", self._web))
        }
        line = [shutil.which("twistd") or "twistd", "-n", "--pidfile=", "gantry-centre"]
        line += ["--role", self._role, "--store", self._url, "--data", str(self.folder)]
        for name, endpoint in end.items():
            line += [f"--{name}", endpoint]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                line, stdout=log, stderr=log, env=environment, cwd=self.folder
            )
        until = time.monotonic() + STARTS_WITHIN
        pause = Event()
        while not self._listens():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            pause.wait(_LOOK)

    def _listens(self) -> bool:
        port = self._web if self._role == "worker" else self.port
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    def kill(self) -> None:
        """End the process as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """End the process in order; it commits what waits."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")[-4000:]


class Proxy:
    """Forwards connections to a port. `cut` ends all and refuses new ones, `freeze` lets nothing
    through without a word; `mend` ends both.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._open, self._flows = Event(), Event()
        self._ends: list[socket.socket] = []
        self._open.set()
        self._flows.set()
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                if not self._open.is_set():
                    client.close()
                    continue
                with suppress(OSError):
                    server = socket.create_connection(("127.0.0.1", self._target), 5)
                    self._ends += [client, server]
                    for ends in ((client, server), (server, client)):
                        Thread(target=self._pump, args=ends, daemon=True).start()
                    continue
                client.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        self._open.clear()
        ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def freeze(self) -> None:
        self._flows.clear()

    def mend(self) -> None:
        self._open.set()
        self._flows.set()

    def close(self) -> None:
        self.mend()
        self.cut()
        self._server.close()
