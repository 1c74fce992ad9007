"""The service: what systemd is told and when, the unit file, and the end that nothing can delay."""

import configparser
import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail

from tests.daemon.process import TWISTD
from tests.manhole.test_service import Card
from tests.support import Bench
from twisted_gantry.centre import settings as centre_settings
from twisted_gantry.centre.tap import PATIENCE
from twisted_gantry.config.load import load_file
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.daemon.systemd import Watchdog, poller_patience
from twisted_gantry.devices.computer import ComputerSettings
from twisted_gantry.net.systemd import HardExit, Notifier, notifier_of, watchdog_period
from twisted_gantry.wire.reading import Quality

TOP = Path(__file__).parents[2]
INSTALL = TOP / "scripts" / "install-service"


class Told:
    """A notifier that keeps what systemd would be told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.error: OSError | None = None
        self.notifier = Notifier("/run/notify", self._send)

    def _send(self, data: bytes, address: str) -> None:
        assert address == "/run/notify"
        if self.error is not None:
            raise self.error
        self.lines.append(data.decode())


def test_what_systemd_is_told() -> None:
    """Each event is one line of the protocol, and a status stays one line."""
    told = Told()
    told.notifier.ready()
    told.notifier.status("2 devices\nREADY=1")
    told.notifier.alive()
    told.notifier.reloading()
    told.notifier.stopping()
    assert told.lines == [
        "READY=1",
        "STATUS=2 devices READY=1",
        "WATCHDOG=1",
        "RELOADING=1",
        "STOPPING=1",
    ]


@pytest.mark.parametrize("abstract", [False, True])
def test_real_sockets(tmp_path: Path, abstract: bool) -> None:
    """The datagram arrives, at a path and at an abstract address."""
    address = f"@gantry-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address.replace("@", "\0") if abstract else address)
        notifier_of({"NOTIFY_SOCKET": address}).ready()
        assert systemd.recv(100) == b"READY=1"


def test_nobody_listens(tmp_path: Path) -> None:
    """Without systemd, or without its socket, nothing happens."""
    notifier_of({}).ready()
    notifier_of({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    told = Told()
    told.error = BlockingIOError(11, "Resource temporarily unavailable")
    told.notifier.alive()
    told.error = None
    told.notifier.alive()
    assert told.lines == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("environment", "period"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
    ],
)
def test_the_period(environment: dict[str, str], period: float | None) -> None:
    """It is half of what systemd allows, and only if this process is meant."""
    assert watchdog_period(environment, 7) == period


class Rig:
    """A watchdog of a site with one device that is polled, and one that is not."""

    def __init__(self) -> None:
        self.bench, self.told = Bench(), Told()
        self.clock = self.bench.clock
        self.ups, self.relay = (Card(name, self.clock.now) for name in ("ups1", "relay"))
        for device in (self.ups, self.relay):
            self.bench.add(device)
        self.bench.points.declare("ups1", [PointType("load", "%", "load", "负载")])
        self.dog = Watchdog(self.told.notifier, self.clock, self.bench.site, 30.0, {"ups1": 320.0})
        self.dog.startService()

    def fed(self, seconds: float = 300.0) -> int:
        """Let time pass; returns how often the watchdog was fed in it."""
        before = len(self.told.lines)
        self.clock.run(seconds, 1.0)
        assert set(self.told.lines) == {"WATCHDOG=1"}
        return len(self.told.lines) - before

    def reading(self) -> None:
        self.bench.points.update("ups1", {"load": (1.0, Quality.GOOD)})


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    if made.dog.running:
        made.dog.stopService()


def test_it_is_fed_while_all_is_well(rig: Rig) -> None:
    """It is fed at once, and at each period while readings come, good or not."""
    assert len(rig.told.lines) == 1
    rig.ups.status.online()
    for _ in range(5):
        rig.reading()
        assert rig.fed() == 10
        rig.bench.points.fail("ups1")
        assert rig.fed() == 10
    rig.dog.stopService()
    assert rig.fed() == 0


def test_a_dead_poller(rig: Rig) -> None:
    """It is not fed when a device that should be read brings nothing; a reading mends that."""
    assert rig.fed(320) == 10  # connecting since the start
    assert rig.fed() == 0
    rig.ups.status.online()
    assert rig.fed() == 0  # the state alone is no reading
    rig.reading()
    assert rig.fed() == 10
    assert rig.fed() <= 1
    rig.ups.status.offline("no reply")  # that has an alarm
    assert rig.fed(3000) == 100
    del rig.bench.site.devices["ups1"]  # the configuration is another
    assert rig.fed(3000) == 100


def test_a_sick_disk_is_no_reason(rig: Rig) -> None:
    """A store that fails, or never answers, has its alarm: a restart would mend nothing."""
    rig.ups.status.offline("x")
    for answer in (lambda *_: fail(OSError("disk full")), lambda *_: Deferred()):
        vars(rig.bench.store).update(audit=answer, ledger=answer, settings=answer)
        assert rig.fed() == 10


def test_patience() -> None:
    """What polls is given ten periods and five minutes; what does not is not watched."""
    assert poller_patience(ComputerSettings(poll=10.0)) == 400
    assert poller_patience(object()) is None


# -- the end


class FakeTimer:
    """A timer that rings when the test says so."""

    daemon = False

    def __init__(self, seconds: float, function: Any) -> None:
        self.seconds, self.ring, self.started = seconds, function, 0

    def start(self) -> None:
        """Note it."""
        self.started += 1


def test_the_hard_exit() -> None:
    """It is armed once, by a daemon thread, and ends the process."""
    timers: list[FakeTimer] = []

    def timer(seconds: float, function: Any) -> FakeTimer:
        timers.append(FakeTimer(seconds, function))
        return timers[-1]

    codes: list[int] = []
    hard = HardExit(4.0, timer, codes.append)
    hard.arm()
    hard.arm()
    [made] = timers
    assert (made.seconds, made.started, made.daemon, codes) == (4.0, 1, True, [])
    made.ring()
    assert codes == [1]


TAC = """
import os, threading, time
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from tests.support import Bench
from twisted_gantry.daemon.systemd import Watchdog
from twisted_gantry.net.systemd import HardExit, notifier_of, watchdog_period

notifier, hard = notifier_of(os.environ), HardExit(1.0)
site = Bench().site
period = watchdog_period(os.environ, os.getpid())
dog = Watchdog(notifier, reactor, site, period, {})
application = Application("small")
reactor.callWhenRunning(notifier.ready)
reactor.callWhenRunning(dog.startService)
reactor.addSystemEventTrigger("before", "shutdown", hard.arm)
reactor.addSystemEventTrigger("before", "shutdown", notifier.stopping)
reactor.callLater(1.0, deferToThread, threading.Event().wait)  # hangs for ever
"""


def test_twistd_under_a_fake_systemd(tmp_path: Path) -> None:
    """A real twistd is ready, is alive, says that it stops, and ends though a thread hangs."""
    (tmp_path / "small.tac").write_text(TAC, encoding="utf-8")
    log = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, log.open("wb") as output:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        process = subprocess.Popen(
            [TWISTD, "-n", "--pidfile=", "-y", "small.tac"],
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "PYTHONPATH": str(TOP),
                "NOTIFY_SOCKET": str(tmp_path / "notify"),
                "WATCHDOG_USEC": "400000",
            },
        )
        told = [systemd.recv(100) for _ in range(8)]
        process.send_signal(signal.SIGTERM)
        while told[-1] != b"STOPPING=1":
            told.append(systemd.recv(100))
        code = process.wait(60)
    assert told[:8] == [b"READY=1", *[b"WATCHDOG=1"] * 7]
    text = log.read_text(encoding="utf-8")
    assert code == 1, text
    assert "did not stop within 1 s, ends all the same; threads: " in text
    assert "Traceback" not in text


# -- what is installed


def install(*arguments: str, **environment: str) -> str:
    """Run the script, and return what it prints."""
    done = subprocess.run(
        [str(INSTALL), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def unit(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    """It shows the unit and the configuration that would be written, and writes nothing."""
    shown = install("--dry-run", "--prefix", "/opt/other", DESTDIR=str(tmp_path))
    assert "ExecStart=/opt/other/bin/twistd --nodaemon" in shown
    assert "[gantry]" in shown
    assert list(tmp_path.iterdir()) == []


def test_the_files(tmp_path: Path) -> None:
    """The configuration is a right one, the unit knows each secret, and nothing own is lost."""
    install(DESTDIR=str(tmp_path))
    site = tmp_path / "etc/gantry/site.toml"
    secrets = tmp_path / "etc/gantry/secrets"
    units = tmp_path / "etc/systemd/system"
    assert [entry.name for entry in load_file(site).devices] == ["pc1"]
    assert secrets.stat().st_mode & 0o777 == 0o700
    site.write_text("# mine\n", encoding="utf-8")
    (secrets / "etc-auth").write_text("s3cret\n", encoding="utf-8")
    shown = install(DESTDIR=str(tmp_path))
    assert site.read_text(encoding="utf-8") == "# mine\n"
    dropin = (units / "gantry.service.d" / "secrets.conf").read_text(encoding="utf-8")
    assert dropin == "[Service]\nLoadCredential=etc-auth:/etc/gantry/secrets/etc-auth\n"
    assert "s3cret" not in shown
    assert (units / "gantry.service").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("prefix", ["relative", "/opt/a b", "/opt/$(id)", "/opt/a|b", ""])
def test_odd_prefixes(prefix: str) -> None:
    """A prefix that would spoil the unit file is refused."""
    done = subprocess.run([str(INSTALL), "--dry-run", "--prefix", prefix], capture_output=True)
    assert done.returncode == 2


def test_the_unit(tmp_path: Path) -> None:
    """The unit is what the daemon expects: notify, a watchdog, its folders, no root."""
    install(DESTDIR=str(tmp_path))
    service = unit((tmp_path / "etc/systemd/system/gantry.service").read_text("utf-8"))["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 30
    assert int(service["TimeoutStopSec"]) > 5
    assert (service["User"], service["UMask"], service["Restart"]) == ("gantry", "0077", "always")
    assert service["StateDirectory"] == service["RuntimeDirectory"] == "gantry"
    assert service["RuntimeDirectoryMode"] == "0700"  # the manhole asks for that
    assert "--data /var/lib/gantry" in service["ExecStart"]
    assert "AF_UNIX" in service["RestrictAddressFamilies"]


def test_a_reload_needs_no_program(tmp_path: Path) -> None:
    """A minimal system has no /bin/kill: the reload is by what every shell has built in."""
    install(DESTDIR=str(tmp_path))
    service = unit((tmp_path / "etc/systemd/system/gantry.service").read_text("utf-8"))["Service"]
    program, *arguments = shlex.split(service["ExecReload"])
    # As a job of `nohup` the test itself ignores SIGHUP, and children inherit that.
    ours = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        sleeper = subprocess.Popen(["sleep", "60"])
    finally:
        signal.signal(signal.SIGHUP, ours)
    environment = {"MAINPID": str(sleeper.pid), "PATH": str(tmp_path)}
    subprocess.run([program, *arguments], env=environment, check=True)
    assert sleeper.wait(60) == -signal.SIGHUP


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """Systemd's own check finds nothing; CI has it."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        assert "CI" not in os.environ, "systemd-analyze is missing: apt-get install systemd"
        pytest.skip("no systemd-analyze on this machine")
    prefix = tmp_path / "opt"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "twistd").symlink_to("/bin/true")
    install("--prefix", str(prefix), DESTDIR=str(tmp_path))
    install("--centre", "--prefix", str(prefix), DESTDIR=str(tmp_path))
    units = tmp_path / "etc/systemd/system"
    names = ["gantry", "gantry-centre", "gantry-centre-front@", "gantry-centre-worker@"]
    paths = [str(units / f"{name}.service") for name in names]
    done = subprocess.run([tool, "verify", *paths], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_units_of_the_centre(tmp_path: Path) -> None:
    """One service of all roles, and one for each role; the configuration is a right one."""
    install("--centre", DESTDIR=str(tmp_path))
    assert centre_settings.load_file(tmp_path / "etc/gantry-centre/centre.toml").store.is_sqlite
    for name, role in (("", "all"), ("-front@", "front"), ("-worker@", "worker")):
        path = tmp_path / f"etc/systemd/system/gantry-centre{name}.service"
        service = unit(path.read_text("utf-8"))["Service"]
        assert f"gantry-centre --role {role} --config" in service["ExecStart"]
        assert (service["Type"], service["User"], service["UMask"]) == ("notify", "gantry", "0077")
        assert service["StateDirectory"] == "gantry-centre"
        assert int(service["TimeoutStopSec"]) > PATIENCE
