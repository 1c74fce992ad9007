"""The control API of the Fogslink cloud; it is mounted below `/twin/v1/fogslink`."""

import re
from typing import Annotated, Any

import msgspec
from klein import Klein
from twisted.web.server import Request

from twisted_gantry.net.http.json import (
    HttpError,
    argument,
    handle_errors,
    read_object,
    refuse_foreign_origin,
    respond,
)
from twisted_gantry.twin.faces.fogslink.cloud import Cloud, NotConnected
from twisted_gantry.twin.faces.fogslink.records import KEPT_RECORDS
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.fogslink.messages import Configure
from twisted_gantry.wire.json import as_text

_Text = Annotated[str, msgspec.Meta(max_length=100)]


class _Configure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=None):
    """A `res300` to be sent; its texts go as they are: a device must be seen to refuse some."""

    eqSN: _Text
    eChan: _Text
    sPeriod: _Text | msgspec.UnsetType = msgspec.UNSET
    sType: _Text | msgspec.UnsetType = msgspec.UNSET


def read_configure(content: dict[str, Any]) -> Configure:
    """Check what is to be sent; numbers are taken as text. Raises HttpError (400)."""
    try:
        given = msgspec.convert(as_text(content), _Configure)
    except (msgspec.ValidationError, BadMessage) as error:
        raise HttpError(400, "bad-configuration", str(error)) from None
    return Configure(
        eq_sn=given.eqSN, e_chan=given.eChan, s_period=given.sPeriod, s_type=given.sType
    )


class FogslinkControl:
    """Serves what a cloud received, and sends configurations from it."""

    app = Klein()
    handle_errors(app)

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    @app.route("/records", methods=["GET"])
    def records(self, request: Request) -> bytes:
        """Show the last values, oldest first, and what is wrong with the packs' numbers."""
        limit = argument(request, "limit", str(KEPT_RECORDS))
        if not (re.fullmatch(r"[0-9]{1,5}", limit) and 1 <= int(limit) <= KEPT_RECORDS):
            raise HttpError(400, "bad-limit", f"limit must be 1 to {KEPT_RECORDS}")
        kept = self._cloud.records
        return respond(
            request,
            {
                "records": kept.shown(int(limit)),
                "gaps": kept.gaps,
                "duplicates": kept.duplicates,
            },
        )

    @app.route("/configure", methods=["POST"])
    async def configure(self, request: Request) -> bytes:
        """Send a `res300`; the answer of the device is shown if it comes within a few seconds."""
        refuse_foreign_origin(request)
        message = read_configure(read_object(request))
        try:
            answer = await self._cloud.configure(message)
        except NotConnected as error:
            raise HttpError(404, "not-connected", str(error)) from None
        return respond(request, {"sent": True, "answer": answer})
