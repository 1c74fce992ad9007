"""The API of the centre, played from a province that is made up: a process that serves the page.

`python -m tests.centre.browser.fake PORT [CHANGES]`: so many gantries change a second.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from twisted.internet import reactor as _reactor
from twisted.internet.defer import succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import LoopingCall
from twisted.web.resource import IResource
from twisted.web.server import Request

from tests.centre.browser.province import Province, at
from twisted_gantry.access.gate import Access, Gate, Switch
from twisted_gantry.centre.web.page.resource import page_of_centre
from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.arguments import read_list
from twisted_gantry.net.http.event_stream import Event, EventStream
from twisted_gantry.net.http.json import HttpError, argument, handle_errors, read_object, respond
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.wire import centre_api as api
from twisted_gantry.wire import centre_orders as orders
from twisted_gantry.wire.etc.controls import CONTROLS
from twisted_gantry.wire.etc.envelope import FIELDS_KEY, Method
from twisted_gantry.wire.local_api import ErrorDetail

reactor: Any = _reactor
_BODY = {
    "id": "1",
    "elec": [
        {"id": "1", "status": "0", "voltage": "0.0", "current": "0.0", "warningMsg": "交流停电"}
    ],
    "rectifier": [],
    "ups": [
        {
            "id": "1",
            "status": "1",
            "runningState": "3",
            "outputVoltage": "51.2",
            "powerRate": "31",
            "surplusTime": "143",
            "remainCapacity": "GetFailed",
            "temperature": "24.50",
        }
    ],
    "airConditioners": [{"id": "1", "status": "1", "isWorking": "1", "workMode": "1"}],
    "thermohygrometer": {"status": "1", "temperature": "23.10", "humidity": "41.00"},
    "smokeSensor": {"status": "1", "isWarning": "0", "warningChangeTime": "NoData"},
    "waterloggingSensor": {"status": "NotSupport", "isWarning": "NotSupport"},
    "doors": {
        "status": "1",
        "defendMode": "1",
        "frontDoorClosed": "1",
        "frontDoorLocked": "1",
        "backDoorClosed": "0",
        "backDoorLocked": "0",
    },
    "thunderSpd": [{"id": "1", "status": "1", "lightningCount": "2"}],
}
_COMPUTERS = [{"id": "1", "ip": "192.0.2.9", "cpuUsage": "12.5", "memoryUsage": "48.2"}]


class FakeStream(EventStream):
    """The stream over a province; `changed` are told once a second."""

    def __init__(self, province: Province) -> None:
        super().__init__("stream", reactor, "18")
        self._province = province
        self.changed: dict[str, api.GantryView] = {}
        self.events: list[Event] = []

    def look(self) -> Any:
        return succeed(None)

    def looked(self, found: Any) -> None:
        for each in self.changed.values():
            self.tell("gantry", each)
        for name, content in self.events:
            self.tell(name, content)
        if self.changed or self.events:
            self.tell("overview", self._province.overview())
        self.changed, self.events = {}, []

    def whole(self) -> Iterable[Event]:
        yield "overview", self._province.overview()
        yield from (("gantry", each) for each in self._province.gantries.values())
        for each in self._province.incidents.values():
            if each.until is None:
                yield "incident", each


def _arguments(request: Request) -> dict[str, str]:
    names = ("state", "road", "section", "q", "sort", "gantry", "incident", "active")
    return {name: argument(request, name) for name in names if argument(request, name)}


def _page(request: Request, found: Sequence[Any]) -> tuple[list[Any], str | None]:
    limit = int(argument(request, "limit", "100"))
    start = int(argument(request, "after", "0"))
    end = start + limit
    return list(found[start:end]), str(end) if end < len(found) else None


class Fake:
    """Answers of the API."""

    app = App()

    def __init__(self, province: Province, stream: FakeStream) -> None:
        self._province, self._stream = province, stream

    @app.route("/healthz", methods=["GET"])
    def health(self, request: Request) -> bytes:
        return respond(request, api.CentreHealth("ok", role="all"))

    @app.route("/api/v1/overview", methods=["GET"])
    def overview(self, request: Request) -> bytes:
        return respond(request, self._province.overview())

    @app.route("/api/v1/whoami", methods=["GET"])
    def who(self, request: Request) -> bytes:
        return respond(request, api.CentrePerson("zhang", "admin"))

    @app.route("/api/v1/users", methods=["GET"])
    def users(self, request: Request) -> bytes:
        people = [
            api.CentreUser("zhang", "admin", password=True),
            api.CentreUser("li", "operator", ["G2", "G5"], token=True),
        ]
        return respond(request, api.CentreUsers(people))

    @app.route("/api/v1/stream", methods=["GET"])
    def stream(self, request: Request) -> Any:
        return self._stream.read(request)

    @app.route("/api/v1/gantries", methods=["GET"])
    def gantries(self, request: Request) -> bytes:
        asked = _arguments(request)
        sort = asked.pop("sort", "id")
        found = list(self._province.gantries.values())
        if "q" in asked:
            wanted = asked.pop("q").lower()
            found = [e for e in found if wanted in f"{e.id} {e.name} {e.stake}".lower()]
        states = asked.pop("state", "").split(",")
        if states != [""]:
            found = [e for e in found if ("pending" if e.pending else e.state) in states]
        for name, value in asked.items():
            found = [e for e in found if getattr(e, name, value) == value]
        if sort == "batteryMinutes":
            found.sort(key=lambda e: (e.battery_minutes is None, e.battery_minutes or 0, e.id))
        page, after = _page(request, found)
        return respond(request, api.GantryList(page, after, len(found)))

    @app.route("/api/v1/gantries/approve", methods=["POST"])
    def approve(self, request: Request) -> bytes:
        wanted = read_object(request)["gantries"]
        for each in wanted:
            self._change(each, {"pending": False})
        return respond(request, api.Approved(len(wanted)))

    @app.route("/api/v1/gantries/import", methods=["POST"])
    def import_(self, request: Request) -> bytes:
        assert request.content is not None
        dry = argument(request, "dryRun") == "1"
        if b"bad" in request.content.read():
            errors = [
                api.RowError(3, "stake", "not like K123+456: bad", "桩号格式应为 K123+456：bad"),
                api.RowError(7, "", "the id is there twice", "编号重复"),
            ]
            said = msgspec.UNSET if dry else ErrorDetail("bad-rows", "2 mistakes", "2 处错误")
            return respond(
                request, api.Imported(dry_run=dry, errors=errors, error=said), 200 if dry else 400
            )
        return respond(request, api.Imported(12, 3, 2985, dry))

    def _gantry(self, name: str) -> api.GantryView:
        if name not in self._province.gantries:
            raise HttpError(404, "not-found", f"no gantry {name}", f"没有门架 {name}")
        return self._province.gantries[name]

    def _change(self, name: str, changes: dict[str, Any]) -> api.GantryView:
        changed = msgspec.structs.replace(self._gantry(name), **changes)
        self._province.gantries[name] = self._stream.changed[name] = changed
        return changed

    @app.route("/api/v1/gantries/<name>", methods=["GET"])
    def gantry(self, request: Request, name: str) -> bytes:
        return respond(request, self._gantry(name))

    @app.route("/api/v1/gantries/<name>", methods=["PUT"])
    def put(self, request: Request, name: str) -> bytes:
        body = msgspec.convert(read_object(request), api.GantryBody)
        given = {
            key: value
            for key, value in msgspec.structs.asdict(body).items()
            if value is not msgspec.UNSET and key not in ("auth", "api_key", "id")
        }
        self._province.gantries.setdefault(name, api.GantryView(id=name))
        return respond(request, self._change(name, given))

    @app.route("/api/v1/gantries/<name>", methods=["DELETE"])
    def delete(self, request: Request, name: str) -> bytes:
        gone = self._gantry(name)
        del self._province.gantries[name]
        self._stream.events.append(("gone", api.Gone("gantry", name)))
        return respond(request, gone)

    @app.route("/api/v1/gantries/<name>/reports", methods=["GET"])
    def reports(self, request: Request, name: str) -> bytes:
        gantry = self._gantry(name)
        found = []
        for back in range(0 if gantry.last_report else 600, 600):
            moment = at(self._province.now - 60 - back * 300)
            method = ("cabinetStatusUpdate", "computerStatusUpdate")[back % 2]
            if argument(request, "method") in ("", method):
                fields = {FIELDS_KEY[Method(method)]: (_BODY, _COMPUTERS)[back % 2]}
                body = {"gantryId": name, "method": method, **fields}
                found.append(api.ReportOfGantry(method, moment, moment, back % 9 == 4, body))
        page, after = _page(request, found)
        return respond(request, api.ReportsOfGantry(page, after))

    @app.route("/api/v1/incidents", methods=["GET"])
    def incidents(self, request: Request) -> bytes:
        asked = _arguments(request)
        found = list(self._province.incidents.values())
        if asked.pop("active", ""):
            found = [e for e in found if e.until is None]
        found = [e for e in found if asked.get("road", e.road) == e.road]
        page, after = _page(request, found)
        return respond(request, api.IncidentList(page, after))

    @app.route("/api/v1/incidents/<name>", methods=["GET"])
    def incident(self, request: Request, name: str) -> bytes:
        return respond(request, self._province.incidents[name])

    @app.route("/api/v1/alarms", methods=["GET"])
    def alarms(self, request: Request) -> bytes:
        asked = _arguments(request)
        found = sorted(self._province.alarms.values(), key=lambda e: e.raised_at or "")[::-1]
        if asked.pop("active", ""):
            found = [e for e in found if e.cleared_at is None]
        for name, value in asked.items():
            found = [e for e in found if getattr(e, name, value) == value]
        page, after = _page(request, found)
        return respond(request, api.GantryAlarms(page, after))

    @app.route("/api/v1/alarms/<verb>", methods=["POST"])
    def care(self, request: Request, verb: str) -> bytes:
        body = read_object(request)
        incident, name = body.get("incident"), body.get("alarm")
        if not (incident or body.get("gantry")):
            who = "zhang" if verb == "ack" else None
            self._fault(str(name), acked_by=who)
            return respond(request, api.GantryAlarms([]))
        now = at(self._province.now)
        kinds: dict[str, dict[str, Any]] = {
            "ack": {"acked_by": "zhang", "acked_at": now, "state": "acknowledged"},
            "unack": {"acked_by": None, "acked_at": None, "state": "raised"},
            "shelve": {"shelved_until": at(self._province.now + body.get("for", 0)), "muted": True},
            "unshelve": {"shelved_until": None, "muted": False},
        }
        changes = kinds[verb]
        found = []
        for key, alarm in self._province.alarms.items():
            mine = (alarm.gantry, alarm.alarm) == (body.get("gantry"), name)
            if alarm.incident == incident if incident else mine:
                changed = msgspec.structs.replace(alarm, note=body.get("note"), **changes)
                self._province.alarms[key] = changed
                found.append(changed)
        if incident:
            kept = {key: changes[key] for key in ("acked_by", "muted") if key in changes}
            old = self._province.incidents[incident]
            self._province.incidents[incident] = msgspec.structs.replace(old, **kept)
            self._stream.events.append(("incident", self._province.incidents[incident]))
        return respond(request, api.GantryAlarms(found))

    def _fault(self, name: str, **changes: Any) -> None:
        found = {each.alarm: each for each in self._province.troubles}
        old = found.get(name, api.CentreTrouble(name, since=at(self._province.now)))
        found[name] = msgspec.structs.replace(old, **changes)
        self._province.troubles = list(found.values())
        self._stream.events.append(("overview", self._province.overview()))

    @app.route("/api/v1/maintenance", methods=["GET"])
    def maintenance(self, request: Request) -> bytes:
        return respond(request, api.PlaceMaintenances(self._province.maintenance))

    @app.route("/api/v1/maintenance", methods=["POST"])
    def maintain(self, request: Request) -> bytes:
        body = msgspec.convert(read_object(request), api.MaintainPlaceBody)
        now = self._province.now
        begun = api.PlaceMaintenance(
            body.gantry,
            body.road,
            body.section,
            at(now),
            at(now + body.seconds),
            "zhang",
            body.note,
        )
        self._province.maintenance.append(begun)
        return respond(request, begun)

    @app.route("/api/v1/maintenance", methods=["DELETE"])
    def end(self, request: Request) -> bytes:
        asked = _arguments(request)
        place = (asked.get("gantry", ""), asked.get("road", ""), asked.get("section", ""))
        works = self._province.maintenance
        ended = next((e for e in works if (e.gantry, e.road, e.section) == place), None)
        if ended is None:
            raise HttpError(404, "not-found", "nobody works there", "该处没有检修")
        works.remove(ended)
        return respond(request, ended)

    @app.route("/api/v1/commands/methods", methods=["GET"])
    def methods(self, request: Request) -> bytes:
        return respond(request, orders.MethodList([_method(name) for name in CONTROLS]))

    def _meant(self, request: Request) -> tuple[orders.OrderBody, list[str], orders.MethodView]:
        body = msgspec.convert(read_object(request), orders.OrderBody)
        if isinstance(body.gantries, list):
            names = body.gantries
        else:
            wanted = body.gantries
            names = [
                e.id
                for e in self._province.gantries.values()
                if wanted.all or (e.road, wanted.section or e.section) == (wanted.road, e.section)
            ]
        [kind] = [e for e in map(_method, CONTROLS) if e.given.items() <= body.args.items()]
        return body, names, kind

    @app.route("/api/v1/commands/preview", methods=["POST"])
    def preview(self, request: Request) -> bytes:
        _, names, kind = self._meant(request)
        silent = [name for name in names if self._gantry(name).state in ("silent", "never")]
        unable = [orders.Unable(name, "it has no URL", "没有地址") for name in silent]
        works = [each.gantry for each in self._province.maintenance if each.gantry in names]
        return respond(
            request,
            orders.OrderPreview(
                len(names),
                len(names) - len(silent),
                unable,
                [kind.name],
                kind.endangers,
                kind.danger,
                kind.danger_zh,
                works,
            ),
        )

    @app.route("/api/v1/commands", methods=["POST"])
    def order(self, request: Request) -> bytes:
        body, names, kind = self._meant(request)
        if kind.endangers and not body.confirm:
            raise HttpError(409, "confirm-needed", kind.danger or "", kind.danger_zh or "")
        number = f"c{len(self._province.orders) + 1}"
        ends = ("done", "done", "done", "refused", "unknown")
        codes = ("1000", "1000", "1000", "1007", None)
        now = at(self._province.now)
        outcomes = [
            orders.OrderOutcome(name, ends[n % 5], sent_at=now, at=now, code=codes[n % 5])
            for n, name in enumerate(names)
        ]
        self._province.orders[number] = orders.OrderView(
            id=number,
            method=body.method,
            args=body.args,
            by="zhang",
            at=at(self._province.now),
            expires_at=at(self._province.now + body.expires),
            does=[kind.name],
            gantries=len(names),
            counts=dict(Counter(each.outcome for each in outcomes)),
            over=True,
            outcomes=outcomes,
        )
        return respond(request, orders.OrderTaken(number), 202)

    @app.route("/api/v1/commands", methods=["GET"])
    def commands(self, request: Request) -> bytes:
        found = [msgspec.structs.replace(e, outcomes=[]) for e in self._province.orders.values()]
        page, after = _page(request, found[::-1])
        return respond(request, orders.OrderList(page, after))

    @app.route("/api/v1/commands/<number>", methods=["GET"])
    def command(self, request: Request, number: str) -> bytes:
        if number not in self._province.orders:
            raise HttpError(404, "not-found", f"no command {number}", f"没有命令 {number}")
        found = self._province.orders[number]
        page, after = _page(request, found.outcomes)
        return respond(request, msgspec.structs.replace(found, outcomes=page, after=after))

    @app.route("/api/v1/ledger", methods=["GET"])
    def ledger(self, request: Request) -> bytes:
        total = self._province.overview().ledger
        return respond(
            request,
            api.CentreLedger(
                **msgspec.structs.asdict(total),
                refused_by={"1001": 12, "1002": 7, "1004": 123},
                waiting=3,
                oldest_backlog=at(self._province.now - 5400),
            ),
        )

    @app.route("/api/v1/refusals", methods=["GET"])
    def refusals(self, request: Request) -> bytes:
        moment = at(self._province.now - 20)
        name = argument(request, "gantry") or "G999999"
        found = api.RefusedView(name, "192.0.2.7", "1004", "the digest is wrong", 7, moment, moment)
        return respond(request, api.RefusedList([found]))

    @app.route("/api/v1/cards", methods=["GET"])
    def cards(self, request: Request) -> bytes:
        moment = at(self._province.now)
        lists = [
            orders.CardsView("", "20261101080000", moment, "zhang", 812, 2850, 100, 31),
            orders.CardsView("G2", "20261129103000", moment, "li", 15, 60, 40),
        ]
        wanted = argument(request, "road")
        of = [
            orders.CardsOfGantry(
                e.id,
                e.road,
                None if index % 7 == 0 else "20261101080000",
                "20261129103000" if e.road == "G2" else "20261101080000",
                at(self._province.now - index),
            )
            for index, e in enumerate(self._province.gantries.values())
            if wanted in ("", e.road)
        ]
        page, after = _page(request, of)
        return respond(request, orders.CardsList(lists, page, after))

    @app.route("/api/v1/cards", methods=["PUT"])
    def put_cards(self, request: Request) -> bytes:
        body = read_list(request, orders.CardsBody, 20_000)
        number = len(body.cards)
        seen = orders.CardsView(body.road, "20261130000000", None, "zhang", number, 0, 99)
        return respond(request, seen)

    @app.route("/api/v1/channels/<gantry>", methods=["GET"])
    def channels(self, request: Request, gantry: str) -> bytes:
        moment = at(self._province.now - 40)
        found = [
            orders.ChannelView("1", "1", "220.1", moment),
            orders.ChannelView("2", "0", None, moment),
        ]
        wish = orders.ChannelWishView("1", "2", period="60", by="zhang", at=moment)
        return respond(request, orders.ChannelValues(gantry, moment, found, [wish]))

    @app.route("/api/v1/channels/<gantry>", methods=["POST"])
    def set_channel(self, request: Request, gantry: str) -> bytes:
        msgspec.convert(read_object(request), orders.SetChannelBody)
        return respond(request, orders.OrderTaken("1"), 202)

    @app.route("/api/v1/pictures/<gantry>", methods=["GET"])
    def pictures(self, request: Request, gantry: str) -> bytes:
        kept = orders.PictureView(gantry, "1", at(self._province.now - 900))
        return respond(request, orders.PictureList([kept]))

    @app.route("/api/v1/audit", methods=["GET"])
    def audited(self, request: Request) -> bytes:
        found = [
            api.CentreAuditEntry(
                str(n),
                at(self._province.now - n * 777),
                "zhang",
                "acknowledgeAlarm",
                "G2",
                {"note": "ok"},
            )
            for n in range(30)
        ]
        page, after = _page(request, found)
        return respond(request, api.CentreAudit(page, after))

    @app.route("/api/v1/export/<what>", methods=["GET"])
    def export(self, request: Request, what: str) -> bytes:
        request.setHeader("Content-Type", "text/csv; charset=utf-8")
        request.setHeader("Content-Disposition", f'attachment; filename="{what}.csv"')
        return "\ufeff编号,名称\r\n".encode()

    # -- what a test changes

    @app.route("/test/flicker", methods=["POST"])
    def flicker(self, request: Request) -> bytes:
        for _ in range(int(argument(request, "count", "1"))):
            changed = self._province.flicker()
            self._stream.changed[changed.id] = changed
        return respond(request, {})

    @app.route("/test/fault", methods=["POST"])
    def fault(self, request: Request) -> bytes:
        en, zh = "the clock of the database is wrong", "数据库时钟偏差"
        name = argument(request, "alarm")
        self._fault(name, severity="warning", message=en, message_zh=zh)
        return respond(request, {})

    @app.route("/test/well", methods=["POST"])
    def well(self, request: Request) -> bytes:
        self._province.troubles = []
        self._stream.events.append(("overview", self._province.overview()))
        return respond(request, {})

    @app.route("/test/end", methods=["POST"])
    def ends(self, request: Request) -> bytes:
        gone = argument(request, "incident")
        del self._province.incidents[gone]
        self._stream.events.append(("gone", api.Gone("incident", gone)))
        return respond(request, {})


def _method(name: str) -> orders.MethodView:
    kind = CONTROLS[name]
    fields = [orders.FieldView(n, e.required, list(e.choices)) for n, e in kind.fields.items()]
    return orders.MethodView(
        name,
        "cabinetControl",
        {name: "1"} if kind.cmd is None else {"cmd": str(kind.cmd.value)},
        kind.en,
        kind.zh,
        fields,
        kind.endangers or None,
        kind.danger or None,
        kind.danger_zh or None,
    )


def serve(port: int, rate: float) -> None:
    """Serve until the process ends."""
    province = Province(time.time())
    stream = FakeStream(province)
    stream.startService()
    page = page_of_centre()
    served: IResource = page.app.resource()
    parts = dict.fromkeys([name.encode() for name in page.first_parts], served)
    fake: IResource = Fake(province, stream).app.resource()
    site = bounded_site(Gate(Access(None, None), Switch(parts, fake)), reactor, Limits(), Counter())

    def change() -> None:
        province.now = time.time()
        for _ in range(round(rate)):
            changed = province.flicker()
            stream.changed[changed.id] = changed

    LoopingCall(change).start(1.0)
    endpoint = TCP4ServerEndpoint(reactor, port, interface="127.0.0.1")

    def listening(port: Any) -> None:
        sys.stdout.write(f"{port.getHost().port}\n")
        sys.stdout.flush()

    endpoint.listen(site).addCallback(listening)
    reactor.run()


handle_errors(Fake.app)

if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 10.0)
