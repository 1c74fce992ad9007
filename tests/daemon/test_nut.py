"""A real gantry and the clients of Network UPS Tools, unchanged: they read, command, shut down."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure

from tests.authority import self_signed
from tests.daemon.process import free_port, until
from tests.daemon.rig import Rig, opened

UPSMON = "/lib/nut/upsmon"
"""The program itself: `/sbin/upsmon` of Debian is a wrapper that wants `MODE` in `nut.conf`."""
UPSMON_PID = Path("/run/nut/upsmon.pid")
"""Where each writes its number; a second one starts only when the file is gone."""

pytestmark = pytest.mark.long


class NutRig(Rig):
    """A site with one UPS on a small battery, and the NUT server with a certificate."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor, world={"ups1.battery_ah": 5.0}, speed=10.0)
        self.nut = free_port()
        self_signed("IP:127.0.0.1").write(folder, "nut")
        self.config.write_text(
            f"""
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:{self.twin.port("ups-tcp")}"
poll = 0.2
allow_off = true
[web]
listen = "tcp:{self.web}:interface=127.0.0.1"
[bridge.nut]
listen = "tcp:{self.nut}:interface=127.0.0.1"
certificate = "nut.pem"
key = "nut.key"
[[bridge.nut.user]]
name = "server"
password = "of-the-server"
upsmon = "primary"
instcmds = ["all", "load.off", "load.on"]
[[bridge.nut.user]]
name = "lane"
password = "of-the-lane"
upsmon = "secondary"
""",
            encoding="utf-8",
        )
        self.start()

    @property
    def ups(self) -> str:
        return f"ups1@127.0.0.1:{self.nut}"

    async def run(self, *command: str, **environment: str) -> tuple[str, str, int]:
        """Run a program to its end; returns its output, its errors and its exit code."""
        found = shutil.which(command[0])
        assert found is not None, command
        env = {**os.environ, **environment}
        done = getProcessOutputAndValue(found, command[1:], env, reactor=self.reactor)
        out, err, code = await done
        return out.decode(), err.decode(), code

    def value(self, name: str) -> Any:
        """Return a variable of the world."""
        return self.twin.world.snapshot()[name]

    def changes(self, **world: Any) -> None:
        self.twin.world.change({name.replace("__", "."): value for name, value in world.items()})


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[NutRig]:
    with opened(NutRig, tmp_path) as made:
        yield made


async def test_the_clients_work_unchanged(rig: NutRig) -> None:
    """`upsc` and `upslog` read, `upscmd` commands, aionut does both, and TLS begins on request."""
    for program in ("upsc", "upscmd", "upslog"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: nut-client)")
    await rig.online("ups1")
    await upsc_reads(rig)
    await upscmd_commands(rig)
    await upslog_logs(rig)
    await aionut_reads_and_commands(rig)
    await a_client_begins_tls(rig)


async def upsc_reads(rig: NutRig) -> None:
    """`upsc` lists the UPS, all its variables, and one of them."""
    assert (await rig.run("upsc", "-l", f"127.0.0.1:{rig.nut}"))[0] == "ups1\n"
    out, _, code = await rig.run("upsc", rig.ups)
    told = dict(line.split(": ", 1) for line in out.splitlines())
    assert (code, told["ups.status"], told["ups.model"]) == (0, "OL CHRG", "C10KS")
    assert abs(float(told["input.voltage"]) - 220) < 1
    assert told["input.voltage"] == told["input.L1-N.voltage"]
    assert (await rig.run("upsc", rig.ups, "ups.status"))[0] == "OL CHRG\n"
    out, err, code = await rig.run("upsc", f"ups9@127.0.0.1:{rig.nut}")
    assert (out, code) == ("", 1)
    assert "Unknown UPS" in err


async def upscmd_commands(rig: NutRig) -> None:
    """`upscmd` lists commands and has them done, with the right password alone."""
    out, _, _ = await rig.run("upscmd", "-l", rig.ups)
    assert "beeper.mute - Temporarily mute the UPS beeper" in out
    given = ("upscmd", "-u", "server", "-p", "of-the-server", rig.ups)
    assert (await rig.run(*given, "beeper.mute"))[1].endswith("OK\n")
    assert rig.value("ups1.buzzer_muted") is True
    assert (await rig.run(*given, "load.off"))[1].endswith("OK\n")
    assert rig.value("ups1.state") == "standby"
    assert "".join((await rig.run("upscmd", "-w", *given[1:], "load.on"))[:2]).endswith("SUCCESS\n")
    wrong = await rig.run("upscmd", "-u", "server", "-p", "no", rig.ups, "load.off")
    assert (wrong[1].splitlines()[-1], wrong[2]) == (
        "Unexpected response from upsd: ERR ACCESS-DENIED",
        1,
    )
    assert rig.value("ups1.output_on") is True


class Running(ProcessProtocol):
    """A program that runs until the test ends it; `text` is all that it has printed."""

    def __init__(self) -> None:
        self.text, self.ended = "", Deferred[int]()

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        self.text += data.decode("utf-8", "replace")

    def processEnded(self, reason: Failure) -> None:
        error = reason.value
        self.ended.callback(error.exitCode if isinstance(error, ProcessTerminated) else 0)

    async def end(self) -> None:
        if not self.ended.called and self.transport is not None:
            self.transport.signalProcess("TERM")
        await self.ended


def spawn(rig: NutRig, program: str, *arguments: str, **environment: str) -> Running:
    found = shutil.which(program)
    assert found is not None, program
    running, env = Running(), {**os.environ, **environment}
    rig.reactor.spawnProcess(running, found, [program, *arguments], env)
    return running


async def upslog_logs(rig: NutRig) -> None:
    """`upslog` writes the values that it is asked for."""
    form = "%VAR input.voltage% %VAR ups.status%"
    pid = {"NUT_PIDPATH": str(rig.folder), "NUT_ALTPIDPATH": str(rig.folder)}
    log = rig.folder / "upslog"
    arguments = ("-s", rig.ups, "-l", str(log), "-i", "1", "-f", form, "-F", "-u", "root")
    running = spawn(rig, "upslog", *arguments, **pid)
    try:
        await until(rig.reactor, "a line", lambda: log.exists() and "\n" in log.read_text(), 10)
    finally:
        await running.end()
    volts, *status = log.read_text().splitlines()[0].split()
    assert abs(float(volts) - 220) < 1
    assert status == ["OL", "CHRG"]


AIONUT = """
import asyncio, json, sys
from aionut import AIONUTClient, NUTCommandError

async def main(port):
    client = AIONUTClient("127.0.0.1", port, "server", "of-the-server", timeout=5)
    told = {
        "upses": await client.list_ups(),
        "vars": await client.list_vars("ups1"),
        "commands": sorted(await client.list_commands("ups1")),
        "description": await client.description("ups1"),
    }
    await client.run_command("ups1", "beeper.enable")
    try:
        await client.run_command("ups1", "shutdown.return")
    except NUTCommandError as error:
        told["error"] = str(error)
    client.shutdown()
    print(json.dumps(told))

asyncio.run(main(int(sys.argv[1])))
"""


async def aionut_reads_and_commands(rig: NutRig) -> None:
    """The client of Home Assistant lists, reads, and runs commands."""
    rig.changes(ups1__buzzer_muted=True)
    out, err, _ = await rig.run(sys.executable, "-c", AIONUT, str(rig.nut))
    assert out, err
    told = json.loads(out)
    assert list(told["upses"]) == ["ups1"]
    assert told["vars"]["ups.status"] == "OL CHRG"
    assert "load.off" in told["commands"]
    assert "CMD-NOT-SUPPORTED" in told["error"]
    assert rig.value("ups1.buzzer_muted") is False


STARTTLS = """
import socket, ssl, sys
port, ca = int(sys.argv[1]), sys.argv[2]
plain = socket.create_connection(("127.0.0.1", port), 5)
plain.sendall(b"STARTTLS\\n")
print(plain.recv(100).decode(), end="")
context = ssl.create_default_context(cafile=ca)
secure = context.wrap_socket(plain, server_hostname="127.0.0.1")
file = secure.makefile("rwb")
for line in (b"USERNAME lane", b"PASSWORD of-the-lane", b"LOGIN ups1", b"STARTTLS", b"LOGOUT"):
    file.write(line + b"\\n")
    file.flush()
    print(file.readline().decode(), end="")
"""


async def a_client_begins_tls(rig: NutRig) -> None:
    """A client that verifies the certificate logs in over TLS."""
    certificate = str(rig.folder / "nut.pem")
    out, err, _ = await rig.run(sys.executable, "-c", STARTTLS, str(rig.nut), certificate)
    answers = ["OK STARTTLS", "OK", "OK", "OK", "ERR TLS-ALREADY-ENABLED", "OK Goodbye"]
    assert out.splitlines() == answers, err


def upsmon(rig: NutRig, folder: Path, user: str, password: str, role: str) -> Running:
    """Start a computer's `upsmon`, whose shutdown writes a file."""
    folder.mkdir()
    note = folder / "notify"
    note.write_text(f'#!/bin/sh\necho "$NOTIFYTYPE" >> {folder}/notes\n', encoding="utf-8")
    note.chmod(0o755)
    kinds = ("ONBATT", "LOWBATT", "FSD", "SHUTDOWN", "COMMOK", "COMMBAD")
    flags = "\n".join(f"NOTIFYFLAG {kind} EXEC" for kind in kinds)
    (folder / "upsmon.conf").write_text(
        f"""
MONITOR {rig.ups} 1 {user} "{password}" {role}
MINSUPPLIES 1
RUN_AS_USER root
SHUTDOWNCMD "touch {folder}/shut-down"
NOTIFYCMD {note}
POWERDOWNFLAG {folder}/killpower
POLLFREQ 1
POLLFREQALERT 1
HOSTSYNC 5
DEADTIME 15
FINALDELAY 0
{flags}
""",
        encoding="utf-8",
    )
    (folder / "upsmon.conf").chmod(0o640)
    return spawn(rig, UPSMON, "-D", "-p", NUT_CONFPATH=str(folder))


def another_upsmon_runs() -> bool:
    """Tell whether this computer has an `upsmon` that the test did not start."""
    return UPSMON_PID.exists() and Path(f"/proc/{UPSMON_PID.read_text().strip()}").exists()


def forget_upsmon() -> None:
    """Let a second `upsmon` start beside the first."""
    UPSMON_PID.unlink(missing_ok=True)


async def test_computers_shut_down_before_the_battery_ends(rig: NutRig, tmp_path: Path) -> None:
    """The mains fail: `upsmon` of a secondary and of the primary run their SHUTDOWNCMD while the
    battery has two minutes at least, the secondary first; nothing is shut down before.
    """
    if shutil.which(UPSMON) is None:
        pytest.skip(f"{UPSMON} is not installed (Debian: nut-client)")
    if another_upsmon_runs():
        pytest.skip("an upsmon runs on this computer")
    await rig.online("ups1")

    async def logged_in(number: int) -> None:
        async def are() -> bool:
            out, _, _ = await rig.run("upsc", "-c", rig.ups)
            return len(out.split()) == number

        await until(rig.reactor, f"{number} computers", are, 15)

    def done(who: str) -> bool:
        return (tmp_path / who / "shut-down").exists()

    lane = upsmon(rig, tmp_path / "lane", "lane", "of-the-lane", "secondary")
    server: Running | None = None
    try:
        await logged_in(1)
        forget_upsmon()
        server = upsmon(rig, tmp_path / "server", "server", "of-the-server", "primary")
        await logged_in(2)
        rig.changes(mains__voltage=0)
        notes = tmp_path / "server" / "notes"
        await until(rig.reactor, "ONBATT", notes.exists, 15)
        assert not done("lane")
        assert not done("server")
        rig.changes(ups1__battery_charge=50.0)
        await until(rig.reactor, "the lane to shut down", lambda: done("lane"), 30)
        assert rig.value("ups1.battery_low") or rig.value("ups1.battery_runtime") < 300
        await until(rig.reactor, "the server to shut down", lambda: done("server"), 15)
        assert rig.value("ups1.battery_runtime") >= 120
        assert rig.value("ups1.state") == "battery"
    finally:
        rig.changes(mains__voltage=220, ups1__battery_charge=98.0)
        for each in (server, lane):
            if each is not None:
                await each.end()
    assert notes.read_text().split()[:2] == ["ONBATT", "LOWBATT"]
