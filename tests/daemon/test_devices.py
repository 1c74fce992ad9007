"""Every kind of device of a site, on a real daemon and the twin: read, commanded, interlocked."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.process import GANTRYCTL, free_port, until
from tests.daemon.rig import Rig, opened

PASSWORD = "Adm1n-of-this-test"
NEW_PASSWORD = "Another-0f-this-test"
PIN = "4711"
AUTH = "a code of the cabinet"

SITE = """
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:{ups_tcp}"
poll = 0.2
[[device]]
name = "ups2"
kind = "ups-card-http"
url = "http://127.0.0.1:{ups_http}/"
callback = "http://127.0.0.1:{callback}/post"
[[device]]
name = "cfos"
kind = "cfos"
url = "http://127.0.0.1:{cfos}"
password = "{password}"
poll = 0.2
feeds = [{{ to = "M3", from = "ups1", period = 0.5 }}]
[[device]]
name = "bms1"
kind = "bms"
url = "http://127.0.0.1:{ems}/wad/ems/v1/api"
device_uid = "bms-0001"
[[device]]
name = "cab1"
kind = "cabinet"
url = "http://127.0.0.1:{cabinet}/remotecontrol.do"
auth = "{auth}"
[monitor]
listen = "tcp:{monitor}:interface=127.0.0.1"
auth = "{auth}"
[[interlock]]
name = "dark"
when = "ups1.mains_abnormal"
for = 0
do = "cfos.override"
args = {{ dev_id = "E1", flags = "C" }}
undo = {{ do = "cfos.override", args = {{ dev_id = "E1", flags = "c" }} }}
[web]
listen = "tcp:{web}:interface=127.0.0.1"
"""


class Devices(Rig):
    """One device of each kind."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        monitor = free_port()
        super().__init__(
            folder,
            reactor,
            auth=AUTH,
            cfos_password=PASSWORD,
            monitor_url=f"http://127.0.0.1:{monitor}/monitor.do",
        )
        faces = ("ups-tcp", "ups-http", "cfos", "ems", "cabinet")
        self.places: dict[str, Any] = {
            **{face.replace("-", "_"): self.twin.port(face) for face in faces},
            "callback": free_port(),
            "monitor": monitor,
            "web": self.web,
            "auth": AUTH,
        }
        self.set_password(PASSWORD)

    def set_password(self, password: str) -> None:
        """Write the configuration, with this password for the manager."""
        self.config.write_text(SITE.format(**self.places, password=password), encoding="utf-8")

    async def do(self, target: str, command: str, **args: Any) -> Any:
        """Give a command, and return how it ended."""
        wish = {"target": target, "command": command, "args": args, "confirm": True}
        return await self.client.send("POST", self.url("/api/v1/commands"), wish)

    async def seen(self, name: str, value: Any) -> None:
        """Wait until the world shows this."""
        world = self.twin.world
        what = f"{name} to be {value!r}"
        await until(self.reactor, what, lambda: world.snapshot()[name] == value)

    async def ctl(self, *arguments: str) -> tuple[int, str]:
        """Run `gantryctl`; return its exit code and what it printed."""
        process = subprocess.Popen(
            [GANTRYCTL, "--url", self.url(""), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        await until(self.reactor, "gantryctl", lambda: process.poll() is not None)
        assert process.stdout is not None
        output = process.stdout.read()
        process.stdout.close()
        return process.returncode, output


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Devices]:
    with opened(Devices, tmp_path) as made:
        yield made


async def test_each_kind_of_device_is_read_and_commanded(rig: Devices) -> None:
    """All are online within 15 s; a command to each acts on the world; an interlock switches E1.

    The audit has who asked; the log has no password, no PIN and no traceback.
    """
    daemon = rig.start()
    await rig.online()
    world = rig.twin.world
    table: list[tuple[str, str, dict[str, Any], str, Any]] = [
        ("ups1", "BZOFF", {}, "ups1.buzzer_muted", True),
        ("ups2", "BZOFF", {}, "ups2.buzzer_muted", True),
        (
            "cfos",
            "write-register",
            {"device": "evse", "write": "8093", "value": 100},
            "cfos.E1.offer",
            10.0,
        ),
        ("bms1", "open-contactor", {}, "bms1.contactor", False),
        ("cab1", "unlock-door", {"unlockDoorId": "1"}, "cab1.front_door_locked", False),
    ]
    for target, command, args, variable, value in table:
        done = await rig.do(target, command, **args)
        assert done["result"] == "done", (target, done)
        await rig.seen(variable, value)
    await rig.seen("cfos.E1.state", "charging")

    code, output = await rig.ctl("registers", "cfos", "meter2")
    assert code == 0, output
    assert "pulses_per_kwh" in output
    code, output = await rig.ctl("registers", "cfos", "evse", "8093")
    assert (code, "10 A" in " ".join(output.split())) == (0, True), output
    code, output = await rig.ctl(
        "command", "--yes", "cfos", "override", "--dev-id", "E1", "--flags", "C"
    )
    assert code == 0, output
    await rig.seen("cfos.E1.state", "vehicle-present")
    assert (await rig.do("cfos", "override", dev_id="E1", flags="c"))["result"] == "done"
    await rig.seen("cfos.E1.state", "charging")
    assert (await rig.do("cfos", "enter-rfid", dev_id="E1", rfid=PIN))["result"] == "done"

    async def fed() -> bool:
        points = await rig.client.get(rig.url("/api/v1/points?prefix=cfos.M3."))
        values = {each["point"]: each["value"] for each in points["points"]}
        return bool(values["cfos.M3.feed_working"] and values.get("cfos.M3.voltage_l1") == 220)

    await until(rig.reactor, "M3 to be fed with the mains of ups1", fed)

    world.change({"mains.voltage": 0})

    async def override(who: str, flags: str) -> bool:
        audit = await rig.client.get(rig.url("/api/v1/audit"))
        return any(
            (entry["who"], entry["args"].get("flags"), entry["result"]) == (who, flags, "done")
            for entry in audit["entries"]
        )

    await until(rig.reactor, "the interlock to act", lambda: override("interlock dark", "C"))
    world.change({"mains.voltage_r": 220, "mains.voltage_s": 0, "mains.voltage_t": 0})
    await rig.seen("cfos.E1.offer", 0.0)  # L1 is there, and E1 is off by the override alone
    assert world.snapshot()["cfos.E1.state"] == "vehicle-present"
    world.change({"mains.voltage": 220})
    await until(rig.reactor, "the interlock to undo", lambda: override("interlock dark", "c"))
    await rig.seen("cfos.E1.state", "charging")

    changed = await rig.do("cfos", "change-admin-password", new_pwd=NEW_PASSWORD)
    assert changed["result"] == "done", changed
    assert (await rig.do("cfos", "get-users"))["result"] == "done"
    shown = await _all_that_is_shown(rig)
    assert daemon.end()
    assert "Traceback" not in daemon.text
    for secret in (PASSWORD, NEW_PASSWORD, PIN, AUTH):
        assert secret not in daemon.text + shown


async def test_a_wrong_password_is_told_and_never_shown(rig: Devices) -> None:
    """The manager is offline with the reason; neither log nor API has the password; the rest works.

    What may be wrong may be right elsewhere: it is a secret all the same.
    """
    rig.set_password("not-the-Passw0rd")
    daemon = rig.start()
    await rig.online("ups1", "bms1")

    async def offline() -> bool:
        site = await rig.client.get(rig.url("/api/v1/site"))
        [cfos] = [each for each in site["devices"] if each["name"] == "cfos"]
        return bool(cfos["state"] == "offline" and "401" in cfos["lastError"])

    await until(rig.reactor, "cfos to be offline", offline)
    for command, args in [
        ("override", {"dev_id": "E1", "flags": "C"}),
        ("change-admin-password", {"old_pwd": "not-the-Passw0rd", "new_pwd": NEW_PASSWORD}),
    ]:
        assert (await rig.do("cfos", command, **args))["result"] == "failed"
    shown = await _all_that_is_shown(rig)
    assert daemon.end()
    assert "Traceback" not in daemon.text
    for secret in ("not-the-Passw0rd", NEW_PASSWORD, "bm90LXRoZS1QYXNzdzByZA"):
        assert secret not in daemon.text + shown


async def _all_that_is_shown(rig: Devices) -> str:
    paths = ("site", "points", "alarms", "audit")
    answers = [str(await rig.client.get(rig.url(f"/api/v1/{path}"))) for path in paths]
    return "".join([*answers, await rig.client.text(rig.url("/metrics"))])
