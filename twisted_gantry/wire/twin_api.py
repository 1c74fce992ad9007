"""The control API of the twin, `/twin/v1/`: its questions, as far as they have a fixed shape.

The twin checks what it is sent against its own world, faces and scenarios; this module says which
operations there are, for the OpenAPI document and for clients.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from twisted_gantry.wire.local_api import Operation, Parameter

FREE = dict[str, Any]
"""An object whose members depend on the world."""


class WorldChange(msgspec.Struct):
    """Dotted names of variables with their new values, such as `{"mains.voltage": 0}`."""


class FaultSettings(msgspec.Struct):
    """Settings of the faults of one face, such as `{"delay": 2.0, "for": 30}`."""


class ScenarioWish(msgspec.Struct, omit_defaults=True):
    """A scenario of the library by `name`, or one in `steps`; `speed` is that of the run."""

    name: str | None = None
    steps: list[FREE] | None = None
    speed: float | None = None


class PlatformCommand(msgspec.Struct, omit_defaults=True, rename="camel"):
    """A command of the platform: the method, and its fields under the method's own key."""

    method: str
    url: str | None = None
    computer_control: FREE | None = None
    cabinet_control: FREE | None = None
    get_cabinet_image_vedio: FREE | None = None


class OfferedCard(msgspec.Struct, rename="camel"):
    """A card; times are `yyyy-MM-dd HH:mm:ss`."""

    card_id: str
    valid_time: str
    invalid_time: str


class OfferedCards(msgspec.Struct):
    """The white list that the platform offers; `version` is `yyyyMMddHHmmss`."""

    version: Annotated[str, Meta(pattern=r"^[0-9]{14}\Z")]
    cards: list[OfferedCard]


class ChannelConfiguration(msgspec.Struct, omit_defaults=True):
    """A `res300`: period and type of a channel's reports."""

    eqSN: str
    eChan: str
    sPeriod: str | None = None
    sType: str | None = None


_FACE = Parameter("face", {"type": "string"}, required=True, place="path")
_NAME = Parameter("name", {"type": "string"}, required=True, place="path")
_LIMIT = Parameter("limit", {"type": "integer", "minimum": 1})


def _operation(id: str, method: Any, path: str, summary: str, **more: Any) -> Operation:  # noqa: A002
    return Operation(
        id=id,
        method=method,
        path=f"/twin/v1/{path}",
        summary=summary,
        answer=more.pop("answer", FREE),
        **more,
    )


OPERATIONS: tuple[Operation, ...] = (
    _operation("getWorld", "get", "world", "The whole state, as one flat object"),
    _operation("changeWorld", "patch", "world", "Change variables, all or none", body=WorldChange),
    _operation("listFaults", "get", "faults", "The faults in force, by face"),
    _operation(
        "setFaults",
        "put",
        "faults/{face}",
        "Replace the faults of a face",
        body=FaultSettings,
        parameters=(_FACE,),
    ),
    _operation(
        "clearFaults", "delete", "faults/{face}", "End the faults of a face", parameters=(_FACE,)
    ),
    _operation("getCounts", "get", "counts", "What each face counted since the start"),
    _operation("getRun", "get", "scenario", "The run that goes on, or the last one"),
    _operation("startRun", "post", "scenario", "Run a scenario", body=ScenarioWish),
    _operation("stopRun", "delete", "scenario", "Stop the run; the world stays as it is"),
    _operation("listScenarios", "get", "scenario/library", "The scenarios of the library"),
    _operation(
        "getScenario", "get", "scenario/library/{name}", "A scenario whole", parameters=(_NAME,)
    ),
    _operation(
        "listRequests",
        "get",
        "etc/requests",
        "What the platform received, newest first",
        parameters=(Parameter("method", {"type": "string"}), _LIMIT),
    ),
    _operation(
        "sendCommand",
        "post",
        "etc/command",
        "Send a command to the gantry; the answer is the gantry's",
        body=PlatformCommand,
    ),
    _operation("getCards", "get", "etc/cards", "The white list that the platform offers"),
    _operation(
        "setCards", "put", "etc/cards", "Set the white list that is offered", body=OfferedCards
    ),
    _operation(
        "listRecords",
        "get",
        "fogslink/records",
        "The last values, oldest first, and what is wrong with the packs' numbers",
        parameters=(_LIMIT,),
    ),
    _operation(
        "sendConfiguration",
        "post",
        "fogslink/configure",
        "Send a `res300`; the answer of the device, if it comes within seconds",
        body=ChannelConfiguration,
    ),
    _operation("getFleet", "get", "fleet", "The counts of a fleet (`gantry-twin --fleet`)"),
)
