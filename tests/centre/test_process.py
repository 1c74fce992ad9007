"""Real processes of the centre: the demonstration, roles that share a database, wrong starts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.centre import postgres
from tests.centre.centre_process import CentreProcess
from tests.daemon.process import Daemon, free_port, until
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.envelope import Method

GANTRY, CODE = "G000211001002110010", "kX7-secret-code"
MADE = {"auth": CODE, "road": "G2", "section": "A", "stake": "K1+000"}


@pytest.fixture
def centres(tmp_path: Path) -> Iterator[Any]:
    """Return what makes processes of a centre, which end with the test."""
    from twisted.internet import reactor

    made: list[CentreProcess] = []

    def make(name: str, more: str = "", *words: str) -> CentreProcess:
        made.append(CentreProcess(tmp_path / name, reactor, more, *words))
        return made[-1]

    yield make
    for each in made:
        pytest_twisted.blockon(ensureDeferred(each.close()))


@pytest.fixture
def url() -> Iterator[str]:
    made = postgres.new_database()
    yield made
    postgres.drop_database(made)


async def up(centre: CentreProcess) -> Any:
    """Wait until a process answers; returns its overview."""

    async def answers() -> Any:
        return await centre.get("overview")

    from twisted.internet import reactor

    return await until(reactor, "the centre", answers)


async def upload(centre: CentreProcess, stamp: float, fields: Any) -> Any:
    """Send a report of the computers of the gantry; returns the code of the answer."""
    body = etc.encode_request(GANTRY, Method.COMPUTER_STATUS, stamp, fields)
    url = f"http://127.0.0.1:{centre.monitor}/monitor.do"
    answer = await centre.client.post(url, body, etc.signed_headers(body, CODE))
    return None if answer is None else answer["code"]


@pytest.mark.long
async def test_fronts_and_workers_share_a_database(centres: Any, url: str) -> None:
    """Two fronts on one port, two workers: an upload anywhere is seen everywhere, and the loss of a
    front or a worker stops nothing.
    """
    from twisted.internet import reactor

    one = centres("one", "", "--role", "front", "--store", url)
    two = centres("two", "", "--role", "front", "--store", url)
    two.config.write_text(one.config.read_text(encoding="utf-8"), encoding="utf-8")
    two.monitor = one.monitor
    first = centres("first", "", "--role", "worker", "--store", url)
    second = centres("second", "", "--role", "worker", "--store", url)
    first.start()
    await up(first)
    for each in (one, two, second):  # the codes are sealed with the key of the first start
        each.data.mkdir()
        (each.data / "centre.key").write_bytes((first.data / "centre.key").read_bytes())
    # The web of a front is for its own endpoint alone.
    two.web = free_port()
    two.words += ("--web", f"tcp:{two.web}:interface=127.0.0.1")
    for each in (one, two, second):
        each.start()
    await up(second)
    now = [1_700_000_000]

    async def unknown() -> bool:
        code: str | None = await upload(one, now[0], [])
        return code == "1001"

    await until(reactor, "the fronts", unknown)
    await first.send("PUT", f"gantries/{GANTRY}", MADE)
    assert await upload(one, now[0], [{"id": "1"}]) == "1000"  # what is answered is known

    async def taken() -> bool:
        now[0] += 1
        code: str | None = await upload(one, now[0], [{"id": "1"}])
        return code == "1000"

    await until(reactor, "an upload", taken)
    assert one.daemon is not None
    one.daemon.kill()
    await until(reactor, "an upload after a front died", taken)

    async def seen() -> bool:
        ledger = await second.get("ledger")
        return bool(ledger) and ledger["stored"] >= 2

    await until(reactor, "the ledger of both", seen)
    assert first.daemon is not None
    first.daemon.kill()
    order = {"gantries": [GANTRY], "method": "cabinetControl", "updateNow": "1"}
    given = await second.send("POST", "commands", order)

    async def over() -> Any:
        found = await second.get(f"commands/{given['id']}")
        return found if found and found["over"] else None

    # The gantry has no URL, so nothing is sent.
    assert (await until(reactor, "an outcome", over))["counts"] == {"refused": 1}
    assert two.daemon is not None
    assert two.daemon.end()
    assert "Traceback" not in two.daemon.text, two.daemon.text


@pytest.mark.long
@pytest.mark.alone
async def test_the_demonstration(tmp_path: Path) -> None:
    """200 gantries report, and their story begins: what scripts/run-centre shows."""
    from twisted.internet import reactor

    centre = CentreProcess(tmp_path / "demo", reactor)
    centre.web = 8090
    centre.daemon = Daemon(
        tmp_path, "gantry-centre", "--demo", "--data", str(tmp_path / "centre-data")
    )
    try:

        async def all_report() -> bool:
            overview = await centre.get("overview")
            return bool(overview) and overview["gantries"]["never"] == 0

        await until(reactor, "200 live gantries", all_report, 60.0)

        async def failed() -> bool:
            found = await centre.get("incidents?active=1")
            return any(each["gantries"] == 10 for each in found["incidents"])

        await until(reactor, "the mains failure of a section", failed, 90.0)
        assert (await centre.get("overview"))["gantries"]["total"] == 200
        assert "Traceback" not in centre.daemon.text, centre.daemon.text
    finally:
        await centre.close()


@pytest.mark.long
async def test_a_second_process_is_refused(centres: Any) -> None:
    """One process has a file of SQLite; what starts beside it says so in a line."""
    one = centres("one")
    one.start()
    await up(one)
    words = ("--config", str(one.config), "--data", str(one.data))
    folder = one.folder / "second"
    folder.mkdir()
    second = Daemon(folder, "gantry-centre", *words)
    assert second.process.wait(20) != 0
    assert "gantry-centre: " in second.text
    assert "Traceback" not in second.text
    assert one.daemon is not None
    assert one.daemon.end()


@pytest.mark.long
async def test_a_wrong_key_is_refused(centres: Any) -> None:
    """The codes in the database cannot be read without the key of the first start."""
    one = centres("one")
    one.start()
    await up(one)
    assert one.daemon is not None
    assert one.daemon.end()
    (one.data / "centre.key").unlink()
    again = one.start()
    assert again.process.wait(20) != 0
    assert "is not the key that sealed the codes" in again.text
    assert "Traceback" not in again.text


@pytest.mark.long
async def test_processes_wait_for_a_database_that_is_down(centres: Any) -> None:
    """A front and a worker that start before PostgreSQL say so and go on by themselves; a database
    that is not there ends the start with a line.
    """
    from twisted.internet import reactor

    cluster = postgres.Cluster(port=free_port())
    cluster.init()
    try:
        words = ("--store", cluster.url())
        worker = centres("worker", "", "--role", "worker", *words)
        worker.start()
        await until(reactor, "the trouble", lambda: "Nothing is stored: " in worker.daemon.text)
        front = centres("front", "", "--role", "front", *words)
        front.data.mkdir()
        (front.data / "centre.key").write_bytes((worker.data / "centre.key").read_bytes())
        front.start()

        async def answers() -> Any:
            return await upload(front, 1_700_000_000, [{"id": "1"}])

        assert await until(reactor, "an answer", answers) == "1008"
        assert (await worker.client.get(worker.url("overview")))["error"]["code"] == "store-failed"
        cluster.start()

        async def works() -> bool:
            return "gantries" in (await worker.get("overview") or {})

        await until(reactor, "the worker", works)
        await worker.send("PUT", f"gantries/{GANTRY}", MADE)

        async def taken() -> bool:
            return bool(await answers() == "1000")

        await until(reactor, "an upload", taken)
        wrong = centres("wrong", "", "--role", "worker", "--store", cluster.url("nowhere"))
        assert wrong.start().process.wait(20) != 0
        assert "gantry-centre: the database cannot be opened" in wrong.daemon.text
        for each in (front, worker):
            assert each.daemon.end()
            assert "Traceback" not in each.daemon.text, each.daemon.text
    finally:
        cluster.destroy()
