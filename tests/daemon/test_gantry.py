"""A real gantry, a real `twistd`, real sockets: the daemon as an operator has it."""

import random
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import deferLater

from tests.daemon.process import (
    AUTH,
    GANTRYCTL,
    Client,
    Daemon,
    final_ledger,
    free_port,
    outbox_rows,
    until,
    write_config,
)
from tests.daemon.rig import Rig, opened
from twisted_gantry.twin.faults.settings import ETC
from twisted_gantry.wire.json import dumps


class Gantry(Rig):
    """One UPS, this computer and three cabinets, reported every second."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor, auth=AUTH)
        write_config(folder, self.twin.port("ups-tcp"), self.twin.port("etc"), self.web)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Gantry]:
    with opened(Gantry, tmp_path) as made:
        yield made


def received(rig: Gantry) -> Counter[bytes]:
    """Return how often the platform took each body."""
    return Counter(
        dumps(each["body"])
        for each in rig.twin.platform.requests()
        if (each["answer"] or {}).get("code") == "1000" and "data" not in each["body"]
    )


async def test_a_gantry_from_a_file_reports_to_real_peers(rig: Gantry) -> None:
    """From a TOML file the daemon polls, reports, shows it, and ends within 5 s of SIGTERM."""
    daemon = rig.start()
    await rig.online()
    rig.twin.world.change({"mains.voltage": 0})

    def told() -> bool:
        reports = rig.twin.platform.requests("cabinetStatusUpdate", 3)
        return any(r["body"]["cabinetStatus"]["elec"][0]["status"] == "0" for r in reports)

    await until(rig.reactor, "the platform to be told", told)
    alarms = await rig.client.get(rig.url("/api/v1/alarms?active=1"))
    assert "ups1.mains-abnormal" in [alarm["alarm"] for alarm in alarms["alarms"]]
    done = await rig.client.send(
        "POST", rig.url("/api/v1/commands"), {"target": "ups1", "command": "BZOFF"}
    )
    assert done["result"] == "done"
    assert rig.twin.world.snapshot()["ups1.buzzer_muted"] is True
    audit = await rig.client.get(rig.url("/api/v1/audit"))
    assert [entry["command"] for entry in audit["entries"]] == ["BZOFF"]
    assert daemon.end()
    assert "Traceback" not in daemon.text
    shown = daemon.text + str(alarms) + str(audit)
    assert AUTH not in shown


@pytest.mark.parametrize(
    "kills", [1, pytest.param(80, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
async def test_kill_9_loses_no_stored_report(rig: Gantry, kills: int) -> None:
    """However often it is killed in an outage, each stored report arrives; few arrive twice."""
    chance = random.Random(20)
    stored: dict[int, bytes] = {}
    for turn in range(kills):
        # An outage in which the platform is back for moments: some reports are acknowledged.
        rig.twin.faults.put(ETC, {"refuse": True})
        daemon = rig.start()
        await until(rig.reactor, "the gantry to answer", rig.ledger)
        before = await rig.ledger()

        async def grown(least: int = before["created"] + 4) -> bool:
            ledger = await rig.ledger()
            return bool(ledger) and ledger["created"] >= least

        await until(rig.reactor, "reports", grown)
        if turn % 2:
            rig.twin.faults.clear(ETC)
            retry = rig.client.send("POST", rig.url("/api/v1/outbox/retry"), {})
            await retry
        await deferLater(rig.reactor, chance.uniform(0.0, 0.05))
        daemon.kill()
        stored |= outbox_rows(rig.data)
    rig.twin.faults.clear(ETC)
    daemon = rig.start()

    async def drained() -> bool:
        ledger = await rig.ledger()
        return bool(ledger) and ledger["queued"] == 0 and ledger["delivered"] > len(stored)

    await until(rig.reactor, "the outbox to drain", drained, 60.0)
    assert daemon.end()
    taken = received(rig)
    missing = Counter(stored.values()) - taken
    assert len(stored) >= kills * 2
    assert not missing, f"{missing.total()} of {len(stored)} stored reports never arrived"
    ledger = final_ledger(rig.data)
    kept = ("delivered", "queued", "set_aside", "dropped")
    assert ledger["created"] == sum(ledger[each] for each in kept)
    assert ledger["set_aside"] == ledger["dropped"] == 0
    # One report is under way at a time: each end of the daemon can cost one acknowledgement.
    assert 0 <= taken.total() - ledger["delivered"] <= kills + 1


async def test_noise_into_the_port_changes_nothing(rig: Gantry) -> None:
    """1 MiB of random bytes into the web port is cut off and counted; everything else goes on."""
    daemon = rig.start()
    await rig.online()
    noise = random.Random(3).randbytes(1024 * 1024)
    for target in (
        rig.web,
        rig.twin.port("ups-tcp"),
        rig.twin.port("etc"),
        rig.twin.port("control"),
    ):
        await _pour(rig, target, noise)
    before = (await rig.ledger())["delivered"]

    async def goes_on() -> bool:
        ledger = await rig.ledger()
        return bool(ledger) and ledger["delivered"] > before + 3

    await until(rig.reactor, "reports to go on", goes_on)
    metrics = await rig.client.text(rig.url("/metrics"))
    events = [line for line in metrics.splitlines() if line.startswith("gantry_http_events_total")]
    assert any("unfinished" in line for line in events), events
    counts = await rig.client.get(f"http://127.0.0.1:{rig.twin.port('control')}/twin/v1/counts")
    assert counts["ups-tcp"]["skipped-bytes"] > 0
    assert daemon.end()
    assert "Traceback" not in daemon.text


async def _pour(rig: Gantry, port: int, noise: bytes) -> None:
    """Write all the peer will take."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setblocking(False)
        at = 0
        for _ in range(2000):
            try:
                at += sock.send(noise[at : at + 65536])
            except BlockingIOError:
                pass
            except OSError:
                return  # cut off
            if at >= len(noise):
                return
            await deferLater(rig.reactor, 0.001)


async def test_a_corrupt_file_does_not_stop_the_start(rig: Gantry) -> None:
    """A spoiled database is moved aside, reported, and the gantry works."""
    rig.data.mkdir()
    (rig.data / "gantry.db").write_bytes(b"this is no database" * 1000)
    daemon = rig.start()
    await rig.online()
    alarms = await rig.client.get(rig.url("/api/v1/alarms?active=1"))
    assert [a["alarm"] for a in alarms["alarms"]] == ["store.found"]
    assert list(rig.data.glob("gantry.db.corrupt-*"))
    assert daemon.end()


async def test_a_second_gantry_on_the_same_folder_is_refused(rig: Gantry) -> None:
    """Two daemons never share a data folder: the second says who has it, and ends."""
    first = rig.start()
    await rig.online()
    (rig.folder / "second").mkdir()
    second = Daemon(
        rig.folder / "second",
        *("gantry", "--config", str(rig.config), "--data", str(rig.data)),
        *("--web", f"tcp:{free_port()}:interface=127.0.0.1"),
    )
    await until(rig.reactor, "the second to end", lambda: second.process.poll() is not None)
    assert second.process.returncode == 1
    assert f"process {first.process.pid}" in second.text
    assert "Traceback" not in second.text
    assert first.end()


async def test_a_port_in_use_is_told_in_one_line(rig: Gantry) -> None:
    """When the web port is taken the daemon ends with the reason, not a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", rig.web))
        taken.listen()
        daemon = rig.start()
        await until(rig.reactor, "the end", lambda: daemon.process.poll() is not None)
    assert daemon.process.returncode == 1
    assert f":{rig.web}" in daemon.text
    assert "Traceback" not in daemon.text


async def test_a_daemon_that_cannot_start_tells_its_parent(rig: Gantry) -> None:
    """Without -n, too, `twistd` ends with the reason when the web port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", rig.web))
        taken.listen()
        daemon = Daemon(
            rig.folder,
            *("--logfile=daemon.log", "gantry", "--config", str(rig.config)),
            *("--data", str(rig.data)),
            nodaemon=False,
        )
        await until(rig.reactor, "the parent to end", lambda: daemon.process.poll() is not None)
    assert daemon.process.returncode == 1
    assert f":{rig.web}" in daemon.text


async def test_gantryctl_speaks_to_it(rig: Gantry) -> None:
    """`gantryctl status` and `points` show what the daemon knows."""
    daemon = rig.start()
    await rig.online()

    def run(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [GANTRYCTL, "--url", rig.url(""), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    for arguments, expected in [
        (("status",), "ups1"),
        (("points", "ups1."), "ups1.input_voltage_r"),
        (("--json", "status"), "delivered"),
    ]:
        process = run(*arguments)

        def ended(process: subprocess.Popen[str] = process) -> bool:
            return process.poll() is not None

        await until(rig.reactor, "gantryctl", ended)
        assert process.stdout is not None
        output = process.stdout.read()
        process.stdout.close()
        assert process.returncode == 0, output
        assert expected in output
    assert daemon.end()


async def test_the_demo_keeps_its_promise(tmp_path: Path) -> None:
    """`--demo` on the contract's ports: within 15 s all is online, and has delivered once."""
    from twisted.internet import reactor

    client = Client(reactor)
    daemon = Daemon(tmp_path, "gantry", "--demo", "--data", str(tmp_path / "data"))
    try:

        async def ready() -> Any:
            site = await client.get("http://127.0.0.1:8080/api/v1/site")
            good = site and all(d["state"] == "online" for d in site["devices"])
            return site if good and all(u["lastDelivered"] for u in site["uplinks"]) else None

        site = await until(reactor, "the demo", ready, 15.0)
        names = ["ups1", "ups2", "cfos", "bms1", "cab1", "pc1"]
        assert [d["name"] for d in site["devices"]] == names
        assert [u["name"] for u in site["uplinks"]] == ["etc", "fogslink"]
        world = await client.get("http://127.0.0.1:8081/twin/v1/world")
        assert world["mains.voltage_r"] == 220
        requests = await client.get("http://127.0.0.1:8081/twin/v1/etc/requests")
        methods = {each["body"]["method"] for each in requests["requests"]}
        assert methods == {"cabinetStatusUpdate", "computerStatusUpdate", "queryAndGetCardInfo"}
        assert daemon.end()
    finally:
        if daemon.process.poll() is None:
            daemon.kill()
        await client.close()
        await deferLater(reactor, 0.05)
