"""The receiver of notifications: a webhook in the control API, which keeps what came."""

from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from twisted.web.server import Request

from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.json import (
    HttpError,
    handle_errors,
    header,
    refuse_foreign_origin,
    respond,
)
from twisted_gantry.twin.faces.http import body_of
from twisted_gantry.twin.requests import read_limit
from twisted_gantry.wire.notification import SIGNATURE, TIMESTAMP, is_signed

DEMO_SECRET = "demo-notify-secret"  # noqa: S105 - as public as the demo
KEPT = 1000  # notifications
TOLERANCE = 300.0  # seconds by which a time stamp may be off
_DEFAULT = 100


class NotificationReceiver:
    """Takes any JSON, signed or not; `secret` is that of the signatures. `now` is Unix seconds."""

    app = App()
    app.url_map.strict_slashes = False  # mounted at a path, its root is that path without a slash

    def __init__(self, secret: str, now: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        self.kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._secret, self._now = secret, now

    @app.route("/", methods=["POST"])
    def receive(self, request: Request) -> bytes:
        """Keep a notification; one with the id of an earlier one is a duplicate."""
        refuse_foreign_origin(request)
        raw = body_of(request)
        try:
            body = msgspec.json.decode(raw)
        except (ValueError, RecursionError):
            raise HttpError(400, "bad-json", "the body must be JSON") from None
        number = body.get("id") if isinstance(body, dict) else None
        known = number is not None and any(each["body"].get("id") == number for each in self._dicts)
        self.counts.update({"received": 1, "duplicates": known})
        self.kept.append(
            {
                "at": datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds"),
                "signature": self._signature(request, raw),
                "duplicate": known,
                "body": body,
            }
        )
        return respond(request, {"status": "ok"})

    @app.route("/", methods=["GET"])
    def show(self, request: Request) -> bytes:
        """Return what was received, newest first."""
        limit = read_limit(request, _DEFAULT, KEPT)
        return respond(request, {"notifications": [*reversed(self.kept)][:limit]})

    @app.route("/", methods=["DELETE"])
    def clear(self, request: Request) -> bytes:
        """Forget what was received."""
        refuse_foreign_origin(request)
        self.kept.clear()
        return respond(request, {"notifications": []})

    @property
    def _dicts(self) -> list[dict[str, Any]]:
        return [each for each in self.kept if isinstance(each["body"], dict)]

    def _signature(self, request: Request, body: bytes) -> str:
        given, timestamp = header(request, SIGNATURE), header(request, TIMESTAMP)
        if not given:
            return "missing"
        if not is_signed(self._secret, timestamp, body, given):
            return "wrong"
        fresh = timestamp.isdecimal() and abs(self._now() - int(timestamp[:12])) <= TOLERANCE
        return "good" if fresh else "stale"


handle_errors(NotificationReceiver.app)
