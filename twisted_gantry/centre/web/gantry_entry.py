"""What an entry of the registry may be: the checks of the API and of files with many entries."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store.chosen import url_of
from twisted_gantry.centre.store.registry import LONGEST_CODE, LONGEST_ID, same
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.secret import Secret

LONGEST = 200  # characters of a text
_ID = re.compile(r"[0-9A-Za-z_-]+\Z", re.ASCII)  # one part of a path, which no client rewrites
_STAKE = re.compile(r"[A-Z]{1,3}\d{1,5}(\+\d{1,4}(\.\d{1,3})?)?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Column:
    """A member of an entry: its name in the API, and its headings in files."""

    field: str
    name: str
    en: str
    zh: str


COLUMNS = (
    Column("id", "id", "Gantry id", "门架编号"),
    Column("name", "name", "Name", "门架名称"),
    Column("road", "road", "Road", "路线编号"),
    Column("section", "section", "Section", "路段"),
    Column("stake", "stake", "Stake", "桩号"),
    Column("direction", "direction", "Direction", "方向"),
    Column("position", "position", "Position", "位置"),
    Column("remote_control", "remoteControl", "remotecontrol.do URL", "远程控制地址"),
    Column("eq_sn", "eqSN", "Fogslink eqSN", "设备序列号"),
    Column("auth", "auth", "binfile-auth", "授权码"),
    Column("api_key", "apiKey", "Fogslink apiKey", "雾联密钥"),
)
KNOWN_ONLY = (
    Column("state", "state", "State", "状态"),
    Column("since", "since", "Since", "状态起始"),
    Column("last_report", "lastReport", "Last report", "最近上报"),
    Column("battery_minutes", "batteryMinutes", "Battery minutes", "电池剩余分钟"),
    Column("alarms", "alarms", "Alarms", "告警"),
)
"""What exports have beside an entry, and imports pass over."""
_NAMES = {each.field: each.name for each in COLUMNS}


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a member of an entry; `column` is its name in the API."""

    column: str
    en: str
    zh: str


def wrong_members(entry: Gantry) -> Iterator[Wrong]:
    """Yield what is wrong with each member of an entry; secrets are not shown."""
    for field, check in _CHECKS:
        if wrong := check(getattr(entry, field)):
            yield Wrong(_NAMES[field], *wrong)


_Texts = tuple[str, str] | None


def _id(value: str) -> _Texts:
    if not value:
        return "is missing", "不能为空"
    if len(value) > LONGEST_ID or not same(value) or not _ID.match(value):
        en = f"has 1 to {LONGEST_ID} letters and digits, - and _"
        return en, f"须为1至{LONGEST_ID}个字母、数字、-或_"
    return None


def _text(value: str) -> _Texts:
    if len(value) > LONGEST:
        return f"has more than {LONGEST} characters", f"不能超过{LONGEST}个字符"
    if not value.isprintable():
        return "has a control character", "不能含控制字符"
    return None


def _stake(value: str) -> _Texts:
    if value and not _STAKE.match(value):
        return "must be like K123+456", "格式须如K123+456"
    return None


def _url(value: str) -> _Texts:
    if not value:
        return None
    try:
        url_of(value)
    except BadMessage:
        return "is no [http://]host[:port]/path", "须为[http://]主机[:端口]/路径"
    return None


def _secret(value: Secret | None) -> _Texts:
    if value is None:
        return None
    text = value.reveal()
    if len(text) > LONGEST_CODE or not text.isprintable():
        zh = f"最多{LONGEST_CODE}个可见字符"
        return f"has at most {LONGEST_CODE} printable characters", zh
    return None


_CHECKS: tuple[tuple[str, Callable[..., _Texts]], ...] = (
    ("id", _id),
    *((name, _text) for name in ("name", "road", "section", "direction", "position", "eq_sn")),
    ("stake", _stake),
    ("remote_control", _url),
    ("auth", _secret),
    ("api_key", _secret),
)
