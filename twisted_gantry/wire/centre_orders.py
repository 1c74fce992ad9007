"""What people order of gantries through the API of the centre: commands, white lists, devices."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from twisted_gantry.wire.centre_api import Cursor, GantryId, Text
from twisted_gantry.wire.local_api import DANGERS, ErrorDetail, Shape, Time, Wish, one_of

ORDER_STATES = ("queued", "sent", "done", "failed", "refused", "expired", "unknown")
"""What became of a command at one gantry: one that was sent and not answered is `unknown`, and
never sent again.
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


class Unable(Shape, frozen=True):
    """A gantry that cannot get a command, and why."""

    gantry: str
    reason: str = ""
    reason_zh: str = ""


class OrderPreview(Shape, frozen=True):
    """What a command would do: `able` of the `gantries` get it, `unable` has the first 1,000 of the
    others. `does` names what it does; it asks for a confirmation if it endangers something. People
    work at those of `maintenance`, the first 1,000.
    """

    gantries: int = 0
    able: int = 0
    unable: list[Unable] = []
    does: list[str] = []
    endangers: Annotated[str | None, one_of((*DANGERS, None))] = None
    danger: str | None = None
    danger_zh: str | None = None
    maintenance: list[str] = []


class OrderOutcome(Shape, frozen=True):
    """What became of a command at one gantry; `code` is that of its answer, `value` the result of a
    battery test.
    """

    gantry: str
    outcome: Annotated[str, one_of(ORDER_STATES)] = "queued"
    sent_at: Time = None
    at: Time = None
    code: str | None = None
    detail: str | None = None
    detail_zh: str | None = None
    value: Any = None


class OrderView(Shape, frozen=True, kw_only=True):
    """`GET /api/v1/commands/{id}`: `counts` has the gantries by outcome; `over` tells whether every
    outcome is final.
    """

    id: str
    method: str = ""
    args: dict[str, str] = {}
    does: list[str] = []
    by: str = ""
    at: Time = None
    expires_at: Time = None
    gantries: int = 0
    counts: dict[str, int] = {}
    over: bool = False
    outcomes: list[OrderOutcome] = []
    after: Cursor = None


class OrderList(Shape, frozen=True):
    """`GET /api/v1/commands`, newest first and without the outcomes by gantry."""

    commands: list[OrderView]
    after: Cursor = None


class FieldView(Shape, frozen=True):
    """A field of a method; `choices` are the texts that are allowed, empty for any."""

    name: str
    required: bool = True
    choices: list[str] = []


class MethodView(Shape, frozen=True):
    """What `remotecontrol.do` can be asked, as a form needs it: `given` are the fields that make
    it what it is, such as `{"cmd": "2"}`; `endangers` is null for what needs no confirmation.
    """

    name: str
    method: str
    given: dict[str, str] = {}
    en: str = ""
    zh: str = ""
    fields: list[FieldView] = []
    endangers: Annotated[str | None, one_of((*DANGERS, None))] = None
    danger: str | None = None
    danger_zh: str | None = None


class MethodList(Shape, frozen=True):
    """`GET /api/v1/commands/methods`."""

    methods: list[MethodView]


class CardsBody(Wish):
    """`PUT /api/v1/cards`: a white list for a road, or with an empty `road` for all. A card has
    `cardId`, `validTime` and `invalidTime`; `version` is `yyyyMMddHHmmss`, by default that of now.
    """

    cards: list[msgspec.Raw]
    version: Text = ""
    road: Text = ""


class CardError(Shape, frozen=True):
    """What is wrong with a row of a white list, which counts from 1; 0 is the list itself."""

    row: int
    message: str
    message_zh: str


class CardsRefused(Shape, frozen=True):
    """The 400 of a white list with mistakes: nothing was changed."""

    error: ErrorDetail
    errors: list[CardError]


class CardsView(Shape, frozen=True):
    """A white list: how many gantries of its road have this version, have another one, and never
    asked.
    """

    road: str = ""
    version: str = ""
    at: Time = None
    by: str = ""
    cards: int = 0
    current: int = 0
    behind: int = 0
    never: int = 0


class CardsOfGantry(Shape, frozen=True):
    """Which white list a gantry has, null where it never asked, and which it should have."""

    gantry: str
    road: str = ""
    version: str | None = None
    wanted: str | None = None
    at: Time = None


class CardsList(Shape, frozen=True):
    """`GET /api/v1/cards`: the lists, and page by page what each gantry has."""

    lists: list[CardsView]
    gantries: list[CardsOfGantry]
    after: Cursor = None


class PictureView(Shape, frozen=True):
    """A picture that the centre keeps."""

    gantry: str
    cabinet: str
    at: Time


class PictureList(Shape, frozen=True):
    """`GET /api/v1/pictures/{gantry}` without `at`: the pictures that the centre keeps."""

    pictures: list[PictureView]


class ChannelsOf(Shape, frozen=True):
    """A gantry with a Fogslink device: since when it is connected, null while it is not, and how
    many of its channels are abnormal.
    """

    gantry: str
    connected: Time = None
    channels: int = 0
    abnormal: int = 0


class ChannelsList(Shape, frozen=True):
    """`GET /api/v1/channels`: the gantries with a Fogslink device."""

    gantries: list[ChannelsOf]
    after: Cursor = None


class ChannelView(Shape, frozen=True):
    """The last value of a Fogslink channel; `state` is `1` for a normal one, and an abnormal one
    has no value. Values are display text.
    """

    channel: str
    state: str = ""
    value: str | None = None
    at: Time = None


WISH_OUTCOMES = ("waiting", "sent", "set", "not-confirmed", "unanswered", "expired")


class ChannelWishView(Shape, frozen=True):
    """A setting of a channel that somebody asked for by `res300`, and what became of that."""

    id: str
    channel: str
    period: str | None = None
    type: str | None = None
    by: str = ""
    at: Time = None
    outcome: Annotated[str, one_of(WISH_OUTCOMES)] = "waiting"
    code: str | None = None
    changed_at: Time = None


class ChannelValues(Shape, frozen=True):
    """`GET /api/v1/channels/{gantry}`: the channels, and the newest settings asked for."""

    gantry: str
    connected: Time = None
    channels: list[ChannelView] = []
    wishes: list[ChannelWishView] = []


class SetChannelBody(Wish):
    """`POST /api/v1/channels/{gantry}`: another `period` in seconds, another `type` (0: on change,
    1: once a period), or both, sent as `res300` once the device is connected.
    """

    channel: Text
    period: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    type: Annotated[int, Meta(ge=0, le=1)] | None = None
