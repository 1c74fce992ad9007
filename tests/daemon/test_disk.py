"""A real gantry whose disk is full, frozen, or loses its file: what must be told is told.

The disks are a tmpfs of 600 kB and a file system in a file, which `fsfreeze` freezes. Where they
cannot be made and mounted, for example without root, their tests are skipped.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from tests.daemon.process import free_port, until
from tests.daemon.rig import Rig, opened
from twisted_gantry.twin.faults.settings import ETC
from twisted_gantry.wire.etc.envelope import Method, encode_request, signed_headers

GANTRY = "G000211001002110010"
CODE = "123456"
UNLOCK = {
    "target": "cab1",
    "command": "unlock-door",
    "args": {"unlockDoorId": "1"},
    "confirm": True,
}
HUNG_S = 5.0  # seconds after which a frozen disk must be known as failed


class Site(Rig):
    """A site with a cabinet, whose uploads the test makes, on the disk `mount` or a plain one."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor)
        self.monitor = free_port()
        self.mount: Path | None = None
        self.config.write_text(
            f"""
[gantry]
id = "{GANTRY}"
[[device]]
name = "cab1"
kind = "cabinet"
url = "http://127.0.0.1:{self.twin.port("cabinet")}/remotecontrol.do"
auth = "{CODE}"
[[device]]
name = "pc1"
kind = "computer"
poll = 1.0
[[cabinet]]
id = "1"
doors = "cab1"
smoke_sensor = "cab1"
[monitor]
listen = "tcp:{self.monitor}:interface=127.0.0.1"
auth = "{CODE}"
rate = 0
[uplink.etc]
url = "http://127.0.0.1:{self.twin.port("etc")}/monitor.do"
auth = "{CODE}"
allow_test_auth = true
[web]
listen = "tcp:{self.web}:interface=127.0.0.1"
""",
            encoding="utf-8",
        )

    def mounted(self, *command: str) -> Path:
        """Mount a disk for the data; the test is skipped where that is not allowed."""
        self.mount = self.data = self.folder / "disk"
        self.data.mkdir()
        done = subprocess.run(
            ["mount", *command, str(self.data)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            self.mount = None
            pytest.skip(f"a file system cannot be mounted here: {done.stderr}")
        return self.data

    async def upload(self, smoke: bool) -> str:
        """Upload the cabinet's state; returns the code of the answer."""
        fields = {"id": "1", "smokeSensor": {"status": "1", "isWarning": "1" if smoke else "0"}}
        body = encode_request(GANTRY, Method.CABINET_STATUS, time.time(), fields)
        url = f"http://127.0.0.1:{self.monitor}/monitor.do"
        answer = await self.client.post(url, body, signed_headers(body, CODE))
        return str(answer["code"]) if answer else ""

    def told_of_smoke(self) -> bool:
        """Tell whether the platform has a report of the smoke."""
        found = self.twin.platform.requests(Method.CABINET_STATUS.value, 100)
        reports = [r["body"]["cabinetStatus"].get("smokeSensor") for r in found]
        return any(each and each["isWarning"] == "1" for each in reports)

    async def get(self, path: str) -> Any:
        """Ask, and see that the answer comes within a second."""
        began = time.monotonic()
        answer = await self.client.get(self.url(path))
        assert time.monotonic() - began < 1.0, path
        return answer

    async def command(self, **more: Any) -> Any:
        return await self.client.send("POST", self.url("/api/v1/commands"), {**UNLOCK, **more})

    async def alarms(self) -> set[str]:
        answer = await self.get("/api/v1/alarms?active=1")
        return {each["alarm"] for each in answer["alarms"]} if answer else set()

    async def raised(self, name: str, seconds: float = 20.0) -> None:
        async def is_raised() -> bool:
            return name in await self.alarms()

        await until(self.reactor, f"the alarm {name}", is_raised, seconds)

    async def cleared(self, name: str, seconds: float = 20.0) -> None:
        async def is_cleared() -> bool:
            return name not in await self.alarms()

        await until(self.reactor, f"the end of the alarm {name}", is_cleared, seconds)

    async def audited(self) -> dict[str, str]:
        entries = (await self.get("/api/v1/audit"))["entries"]
        return {each["id"]: each["result"] for each in entries}

    async def ready(self) -> None:
        await until(self.reactor, "the gantry to answer", self.site)
        await until(self.reactor, "a first report", self.first_delivery)

    async def first_delivery(self) -> bool:
        assert await self.upload(smoke=False)
        ledger = await self.ledger()
        return bool(ledger and ledger["delivered"])

    async def close(self) -> None:
        if self.mount is not None:
            thaw(self.mount)
        await super().close()
        if self.mount is not None:
            run("umount", str(self.mount))
            self.mount = None


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Site]:
    with opened(Site, tmp_path) as made:
        yield made


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def thaw(disk: Path) -> None:
    """End a freeze, if there is one."""
    subprocess.run(["fsfreeze", "-u", str(disk)], capture_output=True, check=False)


def fill(folder: Path) -> Path:
    """Fill a disk to its last byte."""
    ballast = folder / "ballast"
    for _ in range(3):  # the database may free what it had reserved
        with ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 512)
            except OSError:
                pass
    return ballast


@pytest.mark.long
@pytest.mark.alone
async def test_a_full_disk(rig: Site) -> None:
    """On a full disk a smoke alarm reaches the platform within 2 s, an unlock is done, and the
    audit of the unlock is there when there is room again.
    """
    disk = rig.mounted("-t", "tmpfs", "-o", "size=600k", "tmpfs")
    daemon = rig.start()
    await rig.ready()
    ballast = fill(disk)
    began = time.monotonic()
    assert await rig.upload(smoke=True) in ("1000", "1008")
    await until(rig.reactor, "the smoke at the platform", rig.told_of_smoke, 2.0)
    assert time.monotonic() - began < 2.0
    for _ in range(20):  # what still fits is kept; then the disk is full for good
        fill(disk)
        code = await rig.upload(smoke=False)
        if code == "1008":
            break
        await rig.command()
    assert code == "1008"
    await rig.raised("store.failed")
    health = await rig.get("/healthz")
    assert health["status"] == "failing"
    assert (await rig.command(id="unlock-1"))["result"] == "done"
    assert (await rig.command(id="unlock-1"))["result"] == "done"  # once
    assert (await rig.audited())["unlock-1"] == "done"
    rig.twin.faults.put(ETC, {"drop": 1})
    assert await rig.upload(smoke=True) == "1008"

    async def marked() -> bool:
        waiting = (await rig.get("/api/v1/outbox?state=queued"))["reports"]
        return any(each["notStored"] for each in waiting)

    await until(rig.reactor, "a report that is not stored", marked)
    metrics = await rig.client.text(rig.url("/metrics"))
    assert "gantry_store_failing 1.0" in metrics
    ballast.unlink()
    freed = time.monotonic()
    await rig.cleared("store.failed", 5.0)
    assert time.monotonic() - freed < 5.0
    rig.twin.faults.clear(ETC)
    await rig.client.send("POST", rig.url("/api/v1/outbox/retry"), {})

    async def drained() -> bool:
        return bool((ledger := await rig.ledger()) and ledger["queued"] == 0)

    await until(rig.reactor, "the outbox to drain", drained, 90.0)
    ledger = await rig.ledger()
    assert ledger["notStored"] == 0
    kept = ledger["queued"] + ledger["setAside"]
    assert ledger["created"] == ledger["delivered"] + ledger["dropped"] + kept
    daemon.kill()
    rig.start()
    await until(rig.reactor, "the gantry to answer", rig.site)
    assert (await rig.audited())["unlock-1"] == "done"


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_a_frozen_disk(rig: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk frozen for 75 s is a failed store within 5 s. Everything answers within a second, the
    watchdog is fed, smoke reaches the platform, and no command is done late.
    """
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    if shutil.which("mkfs.ext4") is None or shutil.which("fsfreeze") is None:
        pytest.skip("mkfs.ext4 and fsfreeze are not installed (Debian: e2fsprogs, util-linux)")
    run("mkfs.ext4", "-q", str(image))
    disk = rig.mounted("-o", "loop", str(image))
    notify = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(notify))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(notify))
        monkeypatch.setenv("WATCHDOG_USEC", "4000000")
        rig.start()
        await rig.ready()
        run("fsfreeze", "-f", str(disk))
        frozen = time.monotonic()
        early = ensureDeferred(rig.command(id="early", expires=5))
        await rig.raised("store.failed", HUNG_S + 1.0)
        assert time.monotonic() - frozen < HUNG_S + 1.0
        refused = await early
        assert refused["result"] in ("refused", "timeout"), refused
        drain(systemd)
        assert await rig.upload(smoke=True) == "1008"
        await until(rig.reactor, "the smoke at the platform", rig.told_of_smoke, 2.0)
        late = await rig.command(id="late")
        assert late["result"] == "refused"
        assert "has not answered" in late["detail"]
        for path in ("/api/v1/site", "/api/v1/points", "/healthz", "/api/v1/audit"):
            assert await rig.get(path)
        ledger = await rig.ledger()
        assert ledger["asOf"]
        assert "gantry_store_failing 1.0" in await rig.client.text(rig.url("/metrics"))
        fed = 0
        while time.monotonic() - frozen < 75.0:
            fed += drain(systemd)
            assert await rig.get("/api/v1/site")
            await deferLater(rig.reactor, 1.0)
        assert fed > 25
        thaw(disk)
        await rig.cleared("store.failed")
        await deferLater(rig.reactor, 3.0)
        results = await rig.audited()
        assert results["late"] == "refused"
        assert results["early"] in ("refused", "timeout")
        assert (await rig.command(id="after"))["result"] == "done"


def drain(systemd: socket.socket) -> int:
    """Return how often the watchdog was fed since the last call."""
    fed = 0
    while True:
        try:
            fed += systemd.recv(200) == b"WATCHDOG=1"
        except BlockingIOError:
            return fed


@pytest.mark.long
@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_a_file_that_is_lost_under_the_daemon(rig: Site, how: str) -> None:
    """A store file that is removed or replaced is noticed, alarmed and made anew; a kill after that
    loses no report, and the next start finds all of them.
    """
    daemon = rig.start()
    await rig.ready()
    rig.twin.faults.put(ETC, {"drop": 1})
    assert await rig.upload(smoke=True) == "1000"

    async def waits() -> int:
        return int((await rig.ledger())["queued"])

    queued = await until(rig.reactor, "a report that waits", waits)
    for path in rig.data.glob("gantry.db*"):
        path.unlink()
    if how == "replaced":
        (rig.data / "gantry.db").write_bytes(b"another program's file")
    await rig.raised("store.found", 60.0)
    await rig.cleared("store.failed")
    daemon.kill()
    assert "under the running program" in daemon.text
    daemon = rig.start()
    await until(rig.reactor, "the gantry to answer", rig.site)
    assert (await rig.ledger())["queued"] >= queued
    assert ("kept as gantry.db.replaced" in daemon.text) is (how == "replaced")
    assert "its data is whole" in daemon.text
    assert "reports waited to be sent" in daemon.text


@pytest.mark.long
async def test_a_start_does_not_praise_its_own_file(rig: Site) -> None:
    """After a kill and a deleted file the start says what is known to be missing, not "whole"."""
    daemon = rig.start()
    await rig.ready()
    rig.twin.faults.put(ETC, {"drop": 1})
    assert await rig.upload(smoke=True) == "1000"

    async def waits() -> bool:
        return bool((await rig.ledger())["queued"])

    await until(rig.reactor, "a report that waits", waits)
    queued = (await rig.ledger())["queued"]
    daemon.kill()
    for path in rig.data.glob("gantry.db*"):
        path.unlink()
    daemon = rig.start()
    await until(rig.reactor, "the gantry to answer", rig.site)
    text = daemon.text.rpartition("starting up")[2]
    assert f"gantry.db was deleted, and made anew: {queued} reports" in text
    assert "whole" not in text
    assert "store.found" in await rig.alarms()
