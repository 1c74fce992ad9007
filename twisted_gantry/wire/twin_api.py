"""The control API of the twin, `/twin/v1/`: its operations, questions and answers.

The twin checks each question against its own world, endpoints and scenarios. This module tells the
OpenAPI document and clients which operations exist, and what their answers look like.
"""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from twisted_gantry.wire.local_api import Shape
from twisted_gantry.wire.operations import Operation, Parameter, operation

FREE = dict[str, Any]
"""An object whose members depend on the world."""


class WorldChange(msgspec.Struct):
    """Dotted names of variables with their new values, such as `{"mains.voltage": 0}`."""


class FaultSettings(msgspec.Struct):
    """Fault injection for one endpoint, such as `{"delay": 2.0, "for": 30}`; times in seconds."""


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


class ChannelConfiguration(msgspec.Struct, omit_defaults=True):
    """A `res300`: period and type of a channel's reports."""

    eqSN: str
    eChan: str
    sPeriod: str | None = None
    sType: str | None = None


class DialectChange(msgspec.Struct):
    """The names of the dialects that an endpoint is to speak, in their order."""

    dialects: list[str]


class DialectSummary(Shape, frozen=True):
    """A dialect of a kind of peer (`ups`, `cfos`, `ems`, `cabinet`, `platform`, `cloud`)."""

    peer: str
    name: str
    en: str
    zh: str


class DialectsByEndpoint(Shape, frozen=True):
    """All dialects, and the names of those in force at each endpoint."""

    dialects: list[DialectSummary]
    spoken: dict[str, list[str]]


class EndpointDialects(Shape, frozen=True):
    """The dialects in force at one endpoint."""

    endpoint: str
    dialects: list[str]


class OfferedCard(Shape, frozen=True):
    """A card; times are `yyyy-MM-dd HH:mm:ss`."""

    card_id: str
    valid_time: str
    invalid_time: str


class OfferedCards(Shape, frozen=True):
    """The white list that the platform offers; `version` is `yyyyMMddHHmmss`, or `0` for none."""

    version: Annotated[str, Meta(pattern=r"^([0-9]{14}|0)\Z")]
    cards: list[OfferedCard]


class FaultsByFace(Shape, frozen=True):
    """The fault injection in force, by the name of the endpoint."""

    faults: dict[str, FREE]


class FaceFaults(Shape, frozen=True):
    """The fault injection in force at one endpoint."""

    face: str
    settings: FREE


class Expectation(msgspec.Struct, frozen=True):
    """The time in which an expectation counts; both ends are null until its step is done.

    Beside these members stand those of the scenario: what is expected of which point or alarm.
    """

    step: int
    at: float
    within: float
    since: datetime | None = None
    due: datetime | None = None


class ScenarioRun(Shape, frozen=True):
    """A run; each of `expectations` has the members of `Expectation`.

    `elapsed` and `length` are simulated seconds, `speed` is simulated seconds a second.
    """

    run: int
    state: str
    now: datetime
    expectations: list[FREE]
    name: str = ""
    en: str = ""
    zh: str = ""
    error: str | None = None
    speed: float = 1.0
    started_at: datetime | None = None
    elapsed: float = 0.0
    length: float = 0.0
    steps_done: int = 0
    steps: int = 0


class ShownRun(Shape, frozen=True):
    """The current run, else the last; null before the first."""

    scenario: ScenarioRun | None


class ScenarioSummary(Shape, frozen=True):
    """A scenario; `fastest` is the highest speed, null without a bound."""

    name: str
    en: str = ""
    zh: str = ""
    length: float = 0.0
    fastest: float | None = None
    steps: list[FREE] | UnsetType = UNSET


class ScenarioLibrary(Shape, frozen=True):
    """The scenarios of the twin, without their steps."""

    scenarios: list[ScenarioSummary]


class ReceivedRequest(Shape, frozen=True):
    """A request to the platform; a body that is no JSON is text, an answer not given is null.

    `reason` says why the platform refused the request; it is null if the platform took it.
    """

    at: str
    headers: dict[str, str]
    body: Any
    answer: FREE | None
    reason: str | None = None


class ReceivedRequests(Shape, frozen=True):
    """The requests to the platform, newest first."""

    requests: list[ReceivedRequest]


class ReceivedRecord(msgspec.Struct, frozen=True):
    """One value that the cloud received; `eVal` is null for an abnormal channel."""

    eqSN: str
    eChan: str
    eChanSta: str
    eVal: str | None
    packID: str | None
    at: str


class ReceivedRecords(Shape, frozen=True):
    """The last values, oldest first; gaps and duplicates among the numbers of the packs."""

    records: list[ReceivedRecord]
    gaps: int
    duplicates: int


class ReceivedNotification(Shape, frozen=True):
    """A notification as it came; `signature` is `good`, `wrong`, `stale` or `missing`. A
    `duplicate` has the id of an earlier one.
    """

    at: str
    signature: str
    duplicate: bool
    body: Any


class ReceivedNotifications(Shape, frozen=True):
    """The notifications that the webhook of the twin received, newest first."""

    notifications: list[ReceivedNotification]


class ReceiverAnswer(Shape, frozen=True):
    """The webhook took a notification."""

    status: str


class AnyNotification(msgspec.Struct):
    """Any JSON object; a notification of a gantry has `id`, `event`, `gantryId`, `alarms`."""


class ConfigurationAnswer(Shape, frozen=True):
    """A `res300` was sent; `answer` is null if none came within seconds."""

    sent: bool
    answer: Any


_LIMIT = Parameter("limit", {"type": "integer", "minimum": 1})
_twin = partial(operation, "/twin/v1/")

OPERATIONS: tuple[Operation, ...] = (
    _twin("getWorld get world", FREE, "The whole state, as one flat object"),
    _twin("changeWorld patch world", FREE, "Change variables, all or none", body=WorldChange),
    _twin("listFaults get faults", FaultsByFace, "The fault injection in force, by endpoint"),
    _twin(
        "setFaults put faults/{face}",
        FaceFaults,
        "Replace the fault injection of an endpoint",
        body=FaultSettings,
    ),
    _twin("clearFaults delete faults/{face}", FaceFaults, "End the fault injection of an endpoint"),
    _twin("listDialects get dialects", DialectsByEndpoint, "All dialects, and those in force"),
    _twin(
        "setDialects put dialects/{endpoint}",
        EndpointDialects,
        "Set how an endpoint speaks",
        body=DialectChange,
    ),
    _twin(
        "clearDialects delete dialects/{endpoint}",
        EndpointDialects,
        "Let an endpoint speak as its document has it",
    ),
    _twin("getCounts get counts", FREE, "The counters of each endpoint since the start"),
    _twin("getRun get scenario", ShownRun, "The current run, else the last one"),
    _twin("startRun post scenario", ShownRun, "Run a scenario", body=ScenarioWish),
    _twin("stopRun delete scenario", ShownRun, "Stop the run; the world stays as it is"),
    _twin("listScenarios get scenario/library", ScenarioLibrary, "The scenarios of the library"),
    _twin("getScenario get scenario/library/{name}", ScenarioSummary, "A scenario with its steps"),
    _twin(
        "listRequests get etc/requests",
        ReceivedRequests,
        "What the platform received, newest first",
        Parameter("method", {"type": "string"}),
        _LIMIT,
    ),
    _twin(
        "sendCommand post etc/command",
        FREE,
        "Send a command to the gantry; the answer is the gantry's",
        body=PlatformCommand,
    ),
    _twin("getCards get etc/cards", OfferedCards, "The white list that the platform offers"),
    _twin(
        "setCards put etc/cards",
        OfferedCards,
        "Set the white list that is offered",
        body=OfferedCards,
    ),
    _twin(
        "listRecords get fogslink/records",
        ReceivedRecords,
        "The values that the cloud received, oldest first",
        _LIMIT,
    ),
    _twin(
        "sendConfiguration post fogslink/configure",
        ConfigurationAnswer,
        "Send a `res300`, and show the answer of the device",
        body=ChannelConfiguration,
    ),
    _twin(
        "listNotifications get notifications",
        ReceivedNotifications,
        "What the webhook received, newest first",
        _LIMIT,
    ),
    _twin(
        "notify post notifications",
        ReceiverAnswer,
        "The webhook itself",
        body=AnyNotification,
    ),
    _twin("clearNotifications delete notifications", ReceivedNotifications, "Forget what came"),
    _twin("getFleet get fleet", FREE, "The counts of a fleet (`gantry-twin --fleet`)"),
    _twin("getFleetWorld get fleet/gantries/{gantry}", FREE, "The world of a gantry of a fleet"),
    _twin(
        "changeFleetWorld patch fleet/gantries/{gantry}",
        FREE,
        "Change the world of a gantry of a fleet, all or none",
        body=WorldChange,
    ),
)
