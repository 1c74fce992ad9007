"""Workers that are killed while they send commands: each command arrives at most once."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread

import pytest

from tests.centre import postgres
from tests.centre.drills.drill import ROUNDS
from tests.centre.drills.processes import Front
from tests.centre.drills.senders import CODE
from twisted_gantry.centre.control.order import order_of
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import commands, registry
from twisted_gantry.centre.store.commands import Placed
from twisted_gantry.centre.store.engine import Connection
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.sealing import read_key
from twisted_gantry.centre.workers.commands import LEASE
from twisted_gantry.wire.secret import Secret

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

GANTRIES, COMMANDS = 30, 4
SLOWEST = 0.6  # seconds of an answer


class Gantries:
    """Answers as gantries do, after a moment, and counts what came: (gantry, command)."""

    def __init__(self) -> None:
        self.came: Counter[tuple[str, str]] = Counter()
        random, lock, pause = Random(1), Lock(), Event()
        came = self.came

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    came[body["gantryId"], body["cabinetControl"]["setFrequency"]] += 1
                    slow = random.uniform(0, SLOWEST)
                pause.wait(slow)
                answer = b'{"code": "1000", "msg": "ok"}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def gantries() -> Iterator[Gantries]:
    made = Gantries()
    yield made
    made.close()


def place(session: Session, number: int, names: list[str]) -> None:
    order = order_of("cabinetControl", {"setFrequency": str(60 + number)})
    commands.place(
        session,
        f"{number:020}",
        "drill",
        request=str(number),
        digest="",
        method=order.method.value,
        fields=order.fields,
        names=order.names,
        expiry=600.0,
        orders=[Placed(name, "G2") for name in names],
    )


def outcomes(session: Session) -> dict[tuple[str, str], str]:
    rows = session.rows(
        "SELECT gantry, fields, state FROM orders JOIN commands ON commands.id = orders.command"
    )
    return {(row[0], json.loads(row[1])["setFrequency"]): row[2] for row in rows}


def until_over(connection: Connection) -> dict[tuple[str, str], str]:
    end, pause = time.monotonic() + LEASE + 60, Event()
    while time.monotonic() < end:
        found = connection.transaction(outcomes)
        if not {"queued", "sent"} & set(found.values()):
            return found
        pause.wait(0.5)
    pytest.fail(str(Counter(found.values())))


def test_killed_workers_send_nothing_twice(tmp_path: Path, gantries: Gantries) -> None:
    """Two workers are killed in turn, again and again. What came twice is none; what is done came
    once, what is unknown at most once, and after the lease nothing is open.
    """
    url, random = postgres.new_database(), Random(7)
    key = tmp_path / "centre.key"
    sealing = read_key(key)
    engine = PostgresEngine(url)
    connection = engine.connect()
    names = [f"G{number:018}" for number in range(GANTRIES)]
    control = f"http://127.0.0.1:{gantries.port}/remotecontrol.do"
    known = [Gantry(n, road="G2", remote_control=control, auth=Secret(CODE)) for n in names]
    connection.transaction(sealing.prove)
    connection.transaction(lambda session: registry.put(session, known, sealing))
    workers = [Front(tmp_path / f"worker-{n}", url, role="worker", key=key) for n in range(2)]
    for each in workers:
        each.start()
    try:
        for number in range(COMMANDS):
            connection.transaction(lambda session, n=number: place(session, n, names))  # type: ignore[misc]
        for killed in range(ROUNDS):
            Event().wait(random.uniform(0.2, 1.5))
            workers[killed % 2].kill()
            workers[killed % 2].start()
        found = until_over(connection)
    finally:
        for each in workers:
            each.terminate()
    connection.close()
    engine.close()
    postgres.drop_database(url)
    assert len(found) == GANTRIES * COMMANDS
    assert max(gantries.came.values()) == 1
    states = Counter(found.values())
    assert set(states) <= {"done", "unknown"}, states
    assert states["done"] > 0
    for which, state in found.items():
        assert state == "unknown" or gantries.came[which] == 1, which
    assert states["unknown"] >= sum(gantries.came.values()) - states["done"]
