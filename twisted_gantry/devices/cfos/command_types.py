"""The commands of a cFos Charging Manager: data, no action.

Arguments are named as in `docs/protocols/cfos.md`. A command that cannot be undone needs `force`.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from twisted_gantry.core.commands.types import Argument, CommandType, Endangers
from twisted_gantry.wire.cfos.registers import DEVICES

_DEVICE = Argument(longest=4, subject=True)
_FORCE = Argument(bool, required=False)
_FORCED = {"dev_id": _DEVICE, "force": _FORCE}
_PIN = Argument(required=False, secret=True, longest=64)
_NUMBER = Argument(float, required=False)
_TEXT = Argument(required=False)
_LIST = Argument(list, required=False)
_SWITCH = Argument(bool)


class _Danger(NamedTuple):
    endangers: Endangers
    en: str
    zh: str


_device = partial(_Danger, Endangers.DEVICE)


def _type(
    en: str, zh: str, about: str = "", danger: _Danger | None = None, **arguments: Argument
) -> CommandType:
    if danger is None:
        return CommandType(arguments, en, zh, about=about)
    return CommandType(
        arguments,
        en,
        zh,
        about=about,
        endangers=danger.endangers,
        danger=danger.en,
        danger_zh=danger.zh,
    )


# Commands that decide whether and how a car is charged. An EVSE, its registers and its settings are
# one subject: two interlocks that use different ones of these on an EVSE are refused.
_CHARGING = "charging"

COMMANDS: Mapping[str, CommandType] = {
    "override": _type(
        "override the current charging: flags C/c E/e U/u, mA",
        "改变当前充电：标志 C/c E/e U/u，电流 mA",
        danger=_Danger(
            Endangers.POWER,
            "changes the charging of a car, and with that the load on the supply",
            "会改变车辆充电及供电负载",
        ),
        about=_CHARGING,
        dev_id=_DEVICE,
        flags=Argument(required=False, longest=6),
        mamps=Argument(int, required=False),
        rfid=_PIN,
    ),
    "enter-rfid": _type(
        "present a PIN or RFID",
        "输入PIN或RFID",
        about=_CHARGING,
        rfid=Argument(secret=True, longest=64),
        dev_id=Argument(required=False, longest=4, subject=True),
    ),
    "soft-meter": _type(
        "read or set the simulated energy meter, Wh",
        "读取或设置模拟电表，Wh",
        dev_id=_DEVICE,
        val=_NUMBER,
    ),
    "read-register": _type(
        "read registers: address with d, q or s, or all",
        "读寄存器：地址加 d、q 或 s，或 all",
        device=Argument(choices=tuple(DEVICES)),
        read=Argument(longest=6),
        count=Argument(int, required=False),
    ),
    "write-register": _type(
        "write a register, or several",
        "写寄存器",
        danger=_device(
            "writes into a device unchecked: a wrong value may overload the supply",
            "会直接改写设备寄存器：数值不当可能使供电过载",
        ),
        about=_CHARGING,
        device=Argument(choices=tuple(DEVICES), subject=True),
        write=Argument(longest=6, subject=True),
        value=Argument(int, required=False),
        values=_LIST,
    ),
    "feed-meter": _type(
        'feed a meter of the type "HTTP input": Wh, V, mA, W',
        "向“HTTP输入”电表输入数据：Wh、V、mA、W",
        dev_id=_DEVICE,
        model=_TEXT,
        import_wh=_NUMBER,
        export_wh=_NUMBER,
        voltage=_LIST,
        current=_LIST,
        power_w=_NUMBER,
        is_va=Argument(bool, required=False),
    ),
    "feed-evse": _type(
        'feed an EVSE of the type "HTTP input": state 1 to 5, mA, Wh',
        "向“HTTP输入”充电桩输入数据：状态1至5、mA、Wh",
        dev_id=_DEVICE,
        state=Argument(int, required=False),
        max_charging_current=_NUMBER,
        current=_LIST,
        total_energy=_NUMBER,
        model=_TEXT,
        rfid=_PIN,
    ),
    "set-params": _type(
        "set parameters of the manager, or of one of its devices",
        "设置管理器或设备参数",
        danger=_device(
            "changes the settings of the manager: wrong limits may overload the supply",
            "会改变管理器设置：限值不当可能使供电过载",
        ),
        about=_CHARGING,
        params=Argument(dict),
        force=_FORCE,
    ),
    "get-params": _type("read the parameters, without secrets", "读取参数（不含密码和PIN）"),
    "get-users": _type("list the users, without their PINs", "列出用户（不含PIN）"),
    "get-user": _type(
        "read one user, without PINs",
        "读取一个用户（不含PIN）",
        id=Argument(longest=64),
    ),
    "set-user": _type(
        "set a user; without an id a new one is made",
        "设置用户；没有id时新建",
        danger=_Danger(
            Endangers.ACCESS,
            "changes who may charge, and with which PIN",
            "会改变可充电的用户及其PIN",
        ),
        id=Argument(required=False, longest=64),
        name=Argument(required=False, longest=64),
        display=Argument(bool, required=False),
        dev_ids=_LIST,
        rfids=Argument(list, required=False, secret=True),
        charging_rules=_LIST,
    ),
    "reset-device": _type(
        "delete a device and make it anew; needs force",
        "删除并重建设备；需要 force",
        danger=_device(
            "deletes a device of the manager and makes it anew: its settings are lost",
            "会删除并重建管理器中的设备：原有设置丢失",
        ),
        about=_CHARGING,
        **_FORCED,
    ),
    "delete-device": _type(
        "delete a device; needs force",
        "删除设备；需要 force",
        about=_CHARGING,
        danger=_device(
            "deletes a device of the manager: its meter or charging point is gone",
            "会删除管理器中的设备：其电表或充电桩不再可用",
        ),
        **_FORCED,
    ),
    "set-diag-logging": _type(
        "start or stop the diagnostic log, which ends by itself after 5 min",
        "开始或停止诊断日志（5分钟后自动停止）",
        danger=_device(
            "burdens the manager with a diagnostic log, or ends one",
            "会增加管理器负担（记录诊断日志），或结束日志",
        ),
        enable=_SWITCH,
    ),
    "change-admin-password": _type(
        "change the password of the administrator",
        "修改管理员密码",
        danger=_Danger(
            Endangers.ACCESS,
            "locks out everybody who knows the old password alone",
            "会使只知道旧密码的人无法登录",
        ),
        old_pwd=Argument(required=False, secret=True, longest=64),
        new_pwd=Argument(secret=True, longest=64),
    ),
    "accept-license": _type(
        "accept the licence, with or without usage statistics",
        "接受许可协议，允许或禁止使用统计",
        danger=_device(
            "accepts the licence for the owner, and settles whether usage data leave the site",
            "代表业主接受许可协议，并决定使用数据是否外传",
        ),
        allow_usage_stats=_SWITCH,
        acc=Argument(bool, required=False),
    ),
}
