"""`GET /api/v1/modbus-map` of the local HTTP API: types as in `local_api.py`."""

import msgspec

from twisted_gantry.wire.local_api import Label, Shape


class RegisterView(Shape, frozen=True, kw_only=True):
    """A place of the Modbus map. `register` is the address from 0, of holding and input registers
    alike; `type` is f32, s16, u16, s32, u32, quality, age, text, bit or good. In the default map
    `scaled` is the register of value x `scale` as s16; `quality`, `age` in s and `text` are
    registers, and `bit` is a discrete input and a coil.
    """

    point: str
    register: int | None = None
    type: str
    unit: str = ""
    label: Label = Label()
    scale: float | None = None
    order: str = ""
    scaled: int | None = None
    quality: int | None = None
    age: int | None = None
    bit: int | None = None
    text: int | None = None


class RegisterCommandView(Shape, frozen=True):
    """A command behind a coil, and behind registers of a `type`, f32 or s16, which take its
    argument, or start it when they are not 0. `scaled` is the s16 beside an f32.
    """

    target: str
    command: str
    coil: int | None = None
    register: int | None = None
    type: str = ""
    scaled: int | None = None


class AlarmBitView(Shape, frozen=True):
    """An alarm as a discrete input and a coil: on while it is raised."""

    alarm: str
    bit: int


class RegisterMap(Shape, frozen=True):
    """`GET /api/v1/modbus-map`."""

    registers: list[RegisterView]
    commands: list[RegisterCommandView] = msgspec.field(default_factory=list)
    alarms: list[AlarmBitView] = msgspec.field(default_factory=list)
