"""The commands of a cFos Charging Manager: data, no action.

Arguments are named as in `docs/protocols/cfos.md`. A command that cannot be undone needs `force`.
"""

from collections.abc import Mapping

from twisted_gantry.core.commands.types import Argument, CommandType
from twisted_gantry.wire.cfos.registers import DEVICES

_DEVICE = Argument(longest=4, subject=True)
_FORCE = Argument(bool, required=False)
_FORCED = {"dev_id": _DEVICE, "force": _FORCE}
_PIN = Argument(required=False, secret=True, longest=64)
_NUMBER = Argument(float, required=False)
_TEXT = Argument(required=False)
_LIST = Argument(list, required=False)
_SWITCH = Argument(bool)


def _type(en: str, zh: str, about: str = "", **arguments: Argument) -> CommandType:
    return CommandType(arguments, en, zh, about=about)


# Commands that decide whether and how a car is charged. An EVSE, its registers and its settings are
# one subject: two interlocks that use different ones of these on an EVSE are refused.
_CHARGING = "charging"

COMMANDS: Mapping[str, CommandType] = {
    "override": _type(
        "override the current charging: flags C/c E/e U/u, mA",
        "改变当前充电：标志 C/c E/e U/u，电流 mA",
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
        _CHARGING,
        **_FORCED,
    ),
    "delete-device": _type(
        "delete a device; needs force", "删除设备；需要 force", _CHARGING, **_FORCED
    ),
    "set-diag-logging": _type(
        "start or stop the diagnostic log, which ends by itself after 5 min",
        "开始或停止诊断日志（5分钟后自动停止）",
        enable=_SWITCH,
    ),
    "change-admin-password": _type(
        "change the password of the administrator",
        "修改管理员密码",
        old_pwd=Argument(required=False, secret=True, longest=64),
        new_pwd=Argument(secret=True, longest=64),
    ),
    "accept-license": _type(
        "accept the licence, with or without usage statistics",
        "接受许可协议，允许或禁止使用统计",
        allow_usage_stats=_SWITCH,
        acc=Argument(bool, required=False),
    ),
}
