"""What people order of gantries through the API of the centre: commands, white lists, devices."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from twisted_gantry.wire.centre_api import Cursor, GantryId, Text
from twisted_gantry.wire.local_api import DANGERS, Shape, Time, Wish, one_of

COMMAND_OUTCOMES = ("queued", "sent", "done", "failed", "refused", "expired", "unknown")
"""What became of a command at one gantry: without an answer to what was sent it is `unknown`, and
never tried again.
"""
MOST_GANTRIES = 50_000


class GantriesOf(Wish):
    """The gantries of a road, or of a section of it; `all` names every gantry."""

    road: Text = ""
    section: Text = ""
    all: bool = False

    def __post_init__(self) -> None:
        """Refuse what names nothing, or both. Raises ValueError."""
        if self.all == bool(self.road) or (self.section and not self.road):
            raise ValueError('name a "road", perhaps with its "section", or "all": true')


class OrderBody(Wish, forbid_unknown_fields=False, rename="camel"):
    """`POST /api/v1/commands` and `/preview`. `method` is that of `remotecontrol.do`; its fields
    stand beside it, such as `"cmd": "2", "unlockDoorId": "1"`, or in `args`. `confirm` is the yes
    to a method that asks. `id` makes a request that is sent twice one command. A gantry that did
    not take the command within `expires` seconds (default: 300) is given up.
    """

    gantries: Annotated[list[GantryId], Meta(min_length=1, max_length=MOST_GANTRIES)] | GantriesOf
    method: Text
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    confirm: bool = False
    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")] | None = None
    expires: Annotated[float, Meta(gt=0, le=86_400)] = 300.0

    def __repr__(self) -> str:
        """Leave the arguments out: one may be a secret."""
        return f"OrderBody(method={self.method!r})"


class OrderTaken(Shape, frozen=True):
    """The 202 of `POST /api/v1/commands`."""

    id: str


class OrderCannot(Shape, frozen=True):
    """A gantry that would not get a command, and why."""

    gantry: str
    reason: str = ""
    message: str = ""
    message_zh: str = ""


class OrderPreview(Shape, frozen=True):
    """What a command would do: `gantries` would get it, those of `cannot` would not; what it
    endangers. Of `cannot` there are 1000 at most, `refused` counts all.
    """

    gantries: int = 0
    refused: int = 0
    cannot: list[OrderCannot] = []
    maintenance: list[str] = []
    names: list[str] = []
    endangers: Annotated[str | None, one_of((*DANGERS, None))] = None
    danger: str | None = None
    danger_zh: str | None = None


class OrderOutcome(Shape, frozen=True):
    """What became of a command at one gantry; `code` is that of its answer, `value` the result of
    a battery test where that was asked for. `at` is when it ended.
    """

    gantry: str
    outcome: Annotated[str, one_of(COMMAND_OUTCOMES)] = "queued"
    at: Time = None
    sent_at: Time = None
    code: str | None = None
    detail: str | None = None
    detail_zh: str | None = None
    value: Any = None


class OrderView(Shape, frozen=True, kw_only=True):
    """`GET /api/v1/commands/{id}`: `counts` has the gantries by outcome, `over` tells whether none
    is open any more. Secret arguments are masked.
    """

    id: str
    method: str = ""
    args: dict[str, Any] = {}
    by: str = ""
    at: Time = None
    expires_at: Time = None
    endangers: Annotated[str | None, one_of((*DANGERS, None))] = None
    gantries: int = 0
    counts: dict[str, int] = {}
    over: bool = False
    outcomes: list[OrderOutcome] = []
    after: Cursor = None


class OrderList(Shape, frozen=True):
    """`GET /api/v1/commands`, newest first and without the outcomes by gantry."""

    commands: list[OrderView]
    after: Cursor = None


class MethodView(Shape, frozen=True):
    """A method with one `cmd`, as a form needs it: its fields, and what it endangers."""

    method: str
    cmd: str = ""
    en: str = ""
    zh: str = ""
    fields: list[str] = []
    endangers: Annotated[str | None, one_of((*DANGERS, None))] = None
    danger: str | None = None
    danger_zh: str | None = None


class MethodList(Shape, frozen=True):
    """`GET /api/v1/commands/methods`."""

    methods: list[MethodView]


class CardsBody(Wish):
    """`PUT /api/v1/cards`: a white list for a road, or with an empty `road` for all. A card has
    `cardId`, `validTime` and `invalidTime`, as in the document; a list with a bad card is refused
    whole. An empty `version`, `yyyyMMddHHmmss`, is the present time; it must be above the last one.
    """

    cards: list[Any]
    version: Text = ""
    road: Text = ""


class CardsView(Shape, frozen=True):
    """A white list: how many of its gantries have this version, have another one, never asked."""

    road: str = ""
    version: str = ""
    at: Time = None
    by: str = ""
    cards: int = 0
    current: int = 0
    behind: int = 0
    never: int = 0


class CardsOfGantry(Shape, frozen=True):
    """Which white list a gantry has; null where it never asked."""

    gantry: str
    version: str | None = None
    wanted: str | None = None
    at: Time = None


class CardsList(Shape, frozen=True):
    """`GET /api/v1/cards`: the lists, and page by page what each gantry has."""

    lists: list[CardsView]
    gantries: list[CardsOfGantry]
    after: Cursor = None


class ChannelView(Shape, frozen=True):
    """The last value of a Fogslink channel."""

    gantry: str
    channel: str
    value: Any = None
    at: Time = None


class ChannelList(Shape, frozen=True):
    """`GET /api/v1/channels`; `connected` are the gantries of the page with a session now."""

    channels: list[ChannelView]
    connected: list[str] = []
    after: Cursor = None


class SetChannelsBody(Wish):
    """`POST /api/v1/channels`: values for channels of a gantry, sent as `res300`."""

    gantry: GantryId
    values: Annotated[dict[str, Any], Meta(min_length=1, max_length=1000)]
    confirm: bool = False
