"""The Fogslink cloud's part of the control API, to be mounted at `/twin/v1/fogslink/`."""

from typing import Annotated, Any

import msgspec
from twisted.web.server import Request

from twisted_gantry.net.http.json import read_object, refuse_foreign_origin, respond
from twisted_gantry.twin.faces.fogslink.cloud import Cloud, NotConnected
from twisted_gantry.twin.faces.fogslink.records import KEPT_RECORDS
from twisted_gantry.twin.requests import control_app, read_limit
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.fogslink.messages import Configure
from twisted_gantry.wire.json import as_text

_Text = Annotated[str, msgspec.Meta(max_length=100)]


class _Configure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=None):
    """A `res300` to be sent; its texts are not checked, to test how a device refuses bad ones."""

    eqSN: _Text
    eChan: _Text
    sPeriod: _Text | msgspec.UnsetType = msgspec.UNSET
    sType: _Text | msgspec.UnsetType = msgspec.UNSET


def read_configure(content: dict[str, Any]) -> Configure:
    """Check a configuration; numbers become text. Raises BadMessage or ValidationError."""
    given = msgspec.convert(as_text(content), _Configure)
    return Configure(
        eq_sn=given.eqSN, e_chan=given.eChan, s_period=given.sPeriod, s_type=given.sType
    )


class FogslinkControl:
    app = control_app(
        (msgspec.ValidationError, 400, "bad-configuration"),
        (BadMessage, 400, "bad-configuration"),
        (NotConnected, 404, "not-connected"),
    )

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    @app.route("/records", methods=["GET"])
    def records(self, request: Request) -> bytes:
        """Show the last values, oldest first, and the gaps and duplicates of the packs."""
        kept = self._cloud.records
        records = kept.shown(read_limit(request, KEPT_RECORDS, KEPT_RECORDS))
        shown = {"records": records, "gaps": kept.gaps, "duplicates": kept.duplicates}
        return respond(request, shown)

    @app.route("/configure", methods=["POST"])
    async def configure(self, request: Request) -> bytes:
        """Send a `res300`, and show the answer of the device if it comes within ANSWER_S."""
        refuse_foreign_origin(request)
        answer = await self._cloud.configure(read_configure(read_object(request)))
        return respond(request, {"sent": True, "answer": answer})
