"""Whatever the OpenAPI document lets a client send, the centre answers as the document says.

schemathesis makes requests from the document, hypothesis chooses among them, and the real API
answers them in memory.
"""

from collections import Counter
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.centre.store.samples import report
from tests.centre.web.rig import WebRig
from twisted_gantry.centre.store import incidents
from twisted_gantry.wire.centre_operations import OPERATIONS

CHECKS = [
    *(content_type_conformance, response_schema_conformance, status_code_conformance),
    not_a_server_error,
]
URL = "http://127.0.0.1:8090"
SLOW = ("getPicture",)
"""What may be 502 or 503: a gantry that does not answer."""


class Driver:
    """Sends what schemathesis makes; `seen` counts the answers by operation and status."""

    def __init__(self, rig: WebRig) -> None:
        self.rig = rig
        self.seen: Counter[tuple[str, int]] = Counter()
        document = rig.send("GET", "/api/openapi.json").ended().json
        schemathesis.openapi.from_dict(document).validate()
        del document["paths"]["/api/v1/stream"]  # its answer has no end
        loaded = schemathesis.openapi.from_dict(document)
        found: list[Any] = list(loaded.get_all_operations())
        self.operations = [each.ok() for each in found]

    def drive(self, examples: int) -> None:
        """Try each operation with so many requests, fewer where there are no more."""
        for operation in self.operations:
            self._drive(operation, examples)

    def _drive(self, operation: Any, examples: int) -> None:
        name = operation.definition.raw["operationId"]

        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy())
        def attempt(case: Any) -> None:
            response = self._send(case)
            self.seen[name, response.status_code] += 1
            checks = CHECKS[:-1] if name in SLOW else CHECKS
            case.validate_response(response, checks=checks)

        attempt()

    def _send(self, case: Any) -> Response:
        prepared = requests.Request(**case.as_transport_kwargs(base_url=URL)).prepare()
        body: Any = prepared.body or b""
        content = body if isinstance(body, bytes) else body.encode()
        headers = {"Host": "127.0.0.1:8090", **prepared.headers}
        headers.pop("Accept-Encoding", None)  # nothing here unpacks
        if content:
            headers["Content-Length"] = str(len(content))
        head = [f"{prepared.method} {prepared.path_url} HTTP/1.1"]
        head += [f"{name}: {_text(value)}" for name, value in headers.items()]
        raw = "\r\n".join([*head, "", ""]).encode("latin-1") + content
        exchange = self.rig.client.raw(raw, prepared.method or "GET")
        if not exchange.answered:
            self.rig.clock.advance(31)
        answer = exchange.ended()
        sent = {name: [value] for name, value in answer.headers.items()}
        return Response(answer.status, sent, answer.body, prepared, elapsed=0.0, verify=False)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


@pytest.fixture
def driver(rig: WebRig) -> Driver:
    """A centre with gantries, alarms and an incident."""
    rig.desk.add("G1", "G2", section="A")
    rig.store.put_all([report(f"G{n}", raised="mains-abnormal") for n in (1, 2)])
    rig.desk.write(incidents.refresh)
    return Driver(rig)


@pytest.mark.long
def test_what_the_document_allows(driver: Driver) -> None:
    """Hundreds of requests over all operations: no fault, no answer of another shape."""
    driver.drive(10)
    asked = {name for name, _ in driver.seen}
    assert asked == {each.id for each in OPERATIONS} - {"readStream"}
    assert sum(driver.seen.values()) > 250
