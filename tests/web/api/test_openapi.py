"""The OpenAPI document: every route is in it, and what is in it is served."""

from typing import Any

import pytest
from klein import Klein

from tests.http_client import Client
from twisted_gantry.twin.control import Control
from twisted_gantry.twin.dialects.control import DialectControl
from twisted_gantry.twin.faces.etc.control import EtcControl
from twisted_gantry.twin.faces.fogslink.control import FogslinkControl
from twisted_gantry.twin.fleet.control import FleetControl
from twisted_gantry.twin.notifications import NotificationReceiver
from twisted_gantry.twin.scenarios.control import ScenarioControl
from twisted_gantry.web.api.openapi import document
from twisted_gantry.web.api.routes import LocalApi
from twisted_gantry.web.metrics import Metrics

GANTRY = [(LocalApi.app, ""), (Metrics.app, "")]
TWIN = [
    (Control.app, ""),
    (EtcControl.app, "/twin/v1/etc"),
    (FogslinkControl.app, "/twin/v1/fogslink"),
    (ScenarioControl.app, "/twin/v1/scenario"),
    (FleetControl.app, ""),
    (DialectControl.app, "/twin/v1/dialects"),
    (NotificationReceiver.app, "/twin/v1/notifications"),
]
UNLISTED = {("get", "/api/openapi.json")}


def served(apps: list[tuple[Klein, str]]) -> set[tuple[str, str]]:
    """Return the methods and paths of applications, each mounted below a prefix."""
    found = set[tuple[str, str]]()
    for app, below in apps:
        for rule in app.url_map.iter_rules():
            if rule.endpoint.endswith("_branch") or "__rest__" in rule.rule:
                continue
            path = (below + rule.rule).replace("<", "{").replace(">", "}").rstrip("/")
            path = path.replace("{who}", "{endpoint}")  # a name that klein takes for itself
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            found |= {(method.lower(), path) for method in methods}
    return found


def operations(tag: str) -> dict[tuple[str, str], Any]:
    """Return the operations of the document with this tag."""
    paths = document("1.2.3")["paths"]
    return {
        (method, path): operation
        for path, methods in paths.items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    }


@pytest.mark.parametrize(("tag", "apps"), [("gantry", GANTRY), ("twin", TWIN)])
def test_every_route_is_in_the_document(tag: str, apps: list[tuple[Klein, str]]) -> None:
    """The routes and the document name the same operations."""
    mounted = {path for path in served(apps) if path[1] in ("/twin/v1/etc", "/twin/v1/fogslink")}
    assert served(apps) - UNLISTED - mounted == set(operations(tag))


def test_names_references_and_secrets() -> None:
    """Operation ids are unique, references lead somewhere, and a secret is asked for."""
    found = document("1.2.3")
    every = [each for tag in ("gantry", "twin", "etc") for each in operations(tag).values()]
    ids = [each["operationId"] for each in every]
    assert len(set(ids)) == len(ids) == len(every)
    names = {name.rpartition("/")[2] for name in _references(found)}
    assert names <= set(found["components"]["schemas"])
    assert set(found["components"]["securitySchemes"]) == {"basic", "token"}
    gantry = operations("gantry")
    assert gantry["get", "/healthz"]["security"] == []
    assert "security" not in gantry["post", "/api/v1/commands"]


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        here = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return here.union(*map(_references, node.values()))
    return set().union(*map(_references, node)) if isinstance(node, list) else set()


def test_events_of_the_stream() -> None:
    """The document shows the content of each event."""
    stream = operations("gantry")["get", "/api/v1/stream"]["responses"]["200"]["content"]
    events = stream["text/event-stream"]["x-events"]
    assert set(events) == {"snapshot", "live", "device", "uplink", "bridge", "point", "alarm"}


def test_answers_promise_every_member(client: Client) -> None:
    """What is always there is required; a Chinese detail, body and answer of a report may be left
    out.
    """
    schemas = client.get("/api/openapi.json").json["components"]["schemas"]
    for name in ("Device", "Uplink", "PointView", "AlarmView", "CommandInfo"):
        assert schemas[name]["required"] == list(schemas[name]["properties"])
    audit = schemas["AuditView"]
    assert set(audit["properties"]) - set(audit["required"]) == {"detailZh"}
    assert set(schemas["ReportView"]["properties"]) - set(schemas["ReportView"]["required"]) == {
        "body",
        "answer",
    }
