"""What `gantryctl probe` is asked for, as the configuration of one device or one uplink."""

import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted_gantry.ctl.errors import Exit, Trouble

if TYPE_CHECKING:
    from twisted_gantry.config.settings import Settings
    from twisted_gantry.settings.tables import Problem
    from twisted_gantry.texts.phrases import Language

NAME = "probed"
PLATFORM, CLOUD = "platform", "cloud"
ALIASES = {"ups": "ups-card", "ems": "bms", "etc": PLATFORM, "fogslink": CLOUD}

# Settings of the kinds that have an option of their own, with its help.
OPTIONS = {
    "terminator": "Sent behind each command of a UPS card. · 命令结束符。",
    "runtime_unit": "In what a card counts the time left: s, min. · 时间单位。",
    "callback": "Our URL for the results of an HTTP card. · 结果回调地址。",
    "user": "The user of cFos. · cFos 用户名。",
    "device_uid": "The battery behind an EMS. · 电池 device_uid。",
    "cabinet_id": "The cabinet's id. · 机柜编号。",
    "eq_sn": "The account at the cloud. · 云平台 eqSN。",
}

_KINDS = "twisted_gantry.devices"
# The key of the secret, where it is not `password`.
_SECRETS = {"cabinet": "auth", "computer": "token", PLATFORM: "auth", CLOUD: "api_key"}
# Settings that a kind must have, and a probe does not use.
_UNUSED: Mapping[str, Mapping[str, Any]] = {
    "relay": {"on": "01", "off": "00"},
    "modbus": {"point": [{"name": "first_register", "register": 0}]},
    CLOUD: {"channels": {}},
}
_GANTRY_ID = "G000000000000000000"
_MONITOR = '[monitor]\nlisten = "tcp:0:interface=127.0.0.1"\nauth = "not-listening"\n'


def kinds() -> list[str]:
    """Return the words for what can be probed."""
    found = [each.name for each in entry_points(group=_KINDS)]
    return [*sorted(found), PLATFORM, CLOUD]


def settings_of(
    kind: str,
    address: str,
    *,
    given: Mapping[str, Any],
    secret: Path | None,
    gantry_id: str | None,
) -> "Settings":
    """Return the checked settings; `given` are further keys, `secret` the file of the password,
    auth, token or api_key. Raises Trouble.
    """
    from twisted_gantry.config.load import load
    from twisted_gantry.settings.tables import ConfigError

    kind = ALIASES.get(kind, kind)
    if kind not in kinds():
        raise Trouble("probe-kind", Exit.USAGE, kind=kind, known=", ".join(kinds()))
    table: dict[str, Any] = {_place_of(kind): address, **_UNUSED.get(kind, {}), **given}
    if secret is not None:
        table[_SECRETS.get(kind, "password")] = {"file": str(secret.absolute())}
    if kind in (PLATFORM, CLOUD):
        head = f"[uplink.{'etc' if kind == PLATFORM else 'fogslink'}]\n"
        table.setdefault("allow_test_auth", True) if kind == PLATFORM else None
    else:
        head = f'[[device]]\nname = "{NAME}"\nkind = "{kind}"\n'
    monitor = _MONITOR if kind == "cabinet" else ""
    text = f"[gantry]\nid = {_toml(gantry_id or _GANTRY_ID)}\n{monitor}{head}{_lines(table)}"
    try:
        return load(text, "probe", Path.cwd(), [], [])
    except ConfigError as error:
        en, zh = _told(error.problems, kind, "en"), _told(error.problems, kind, "zh")
        raise Trouble("probe-settings", Exit.USAGE, kind=kind, message=en, message_zh=zh) from None


def _place_of(kind: str) -> str:
    """Return the key of the address; a kind of another package has `address` or `url`, too."""
    if kind in (PLATFORM, CLOUD):
        return "url" if kind == PLATFORM else "address"
    fields = (f for each in entry_points(group=_KINDS, name=kind) for f in _fields(each))
    return "address" if "address" in fields else "url"


def _fields(kind: EntryPoint) -> tuple[str, ...]:
    try:
        fields: tuple[str, ...] = kind.load().settings.__struct_fields__
    except Exception:  # the settings are read next, and say what is wrong with the package
        return ()
    return fields


def option_of(key: str) -> str:
    """Return the option for a setting of `OPTIONS`."""
    return f"--{key.replace('_', '-')}"


def _told(problems: "list[Problem]", kind: str, language: "Language") -> str:
    """Return what is wrong, with the option of each setting: a probe has no file."""
    found = []
    for each in problems:
        key = each.key.rpartition(".")[2]
        found.append(f"{_given_by(key, kind)}: {each.said(language)}")
    return "; ".join(found)


def _given_by(key: str, kind: str) -> str:
    if key in ("address", "url"):
        return "ADDRESS"
    if key == _SECRETS.get(kind, "password"):
        return "--password-file"
    return option_of(key) if key in OPTIONS else f"--set {key}=VALUE"


def value_of(text: str) -> Any:
    """Return the value in KEY=VALUE of the command line: a TOML value, else the text."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
