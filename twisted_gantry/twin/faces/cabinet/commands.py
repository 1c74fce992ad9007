"""The effect of the platform's commands on a cabinet: the ETC document, section 3.2.2."""

from collections.abc import Callable, Mapping

from twisted_gantry.twin.world.air import AirConditioner, AirFault
from twisted_gantry.twin.world.cabinet import Cabinet
from twisted_gantry.twin.world.doors import Unlock
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.commands import SET_POINTS, Cmd, EtcCommand, check_set_points


class CannotDo(Exception):
    """A cabinet cannot execute a command: 1007. The text is the `msg` of the answer."""


def perform(cabinet: Cabinet, command: EtcCommand) -> None:
    """Execute a checked command, all of it or nothing. Raises CannotDo."""
    act = _ACTS.get(command.cmd)
    if act is None:
        raise CannotDo("本机柜不支持该命令")
    act(cabinet, command.fields)
    cabinet.settle()


def _unlock(cabinet: Cabinet, fields: Mapping[str, str]) -> None:
    doors = cabinet.doors
    door = doors.front if fields["unlockDoorId"] == "1" else doors.back
    if doors.fault:
        raise CannotDo("门禁控制器故障")
    if not door.unlock(Unlock.REMOTE):
        raise CannotDo("门锁故障")


def _units(cabinet: Cabinet, air_id: str) -> tuple[AirConditioner, ...]:
    """Return the air conditioners of an id: 0 for all."""
    units, number = cabinet.air_conditioners, int(air_id)
    if number > len(units):
        raise CannotDo("无此空调")
    return units if number == 0 else units[number - 1 : number]


def _run_air(cabinet: Cabinet, fields: Mapping[str, str]) -> None:
    run = fields["airOperate"] == "1"
    units = _units(cabinet, fields["airId"])
    if run and not cabinet.cooling_allowed:
        raise CannotDo("省电模式或市电异常，空调不能运行")
    if run and any(unit.fault is AirFault.FAN for unit in units):
        raise CannotDo("空调风机故障")
    for unit in units:
        unit.wanted = run


def _set_points(cabinet: Cabinet, fields: Mapping[str, str]) -> None:
    given = {key: float(fields[key]) for key in SET_POINTS if key in fields}
    wanted = [
        (
            unit,
            given.get("autoRefrigerationTemp", unit.cool_above_c),
            given.get("autoHeatingTemp", unit.heat_below_c),
        )
        for unit in _units(cabinet, fields["airId"])
    ]
    try:
        for _, cool_above_c, heat_below_c in wanted:
            check_set_points(cool_above_c, heat_below_c)
    except BadMessage:
        raise CannotDo("温度设定值超出范围") from None
    for unit, cool_above_c, heat_below_c in wanted:
        unit.set_points(cool_above_c, heat_below_c)


def _guard(cabinet: Cabinet, fields: Mapping[str, str]) -> None:
    doors = cabinet.doors
    if doors.fault:
        raise CannotDo("门禁控制器故障")
    if fields["isDoorDefend"] == "0":
        doors.armed = False
    elif not doors.arm():
        raise CannotDo("柜门未关，不能布防")


def _rectifiers(cabinet: Cabinet, fields: Mapping[str, str]) -> None:
    on = fields["onOff"] == "1"
    if not cabinet.supply.switch(on):
        raise CannotDo("整流模块故障" if on else "电池不足，不能关闭整流模块")


def _test_battery(cabinet: Cabinet, fields: Mapping[str, str]) -> None:
    supply = cabinet.supply
    if fields["testStartStop"] == "1":
        if not supply.start_test(cabinet.elapsed_s):
            raise CannotDo("市电、整流模块或电池状态不允许测试")
    elif not supply.stop_test():
        raise CannotDo("没有正在进行的电池测试")


_ACTS: Mapping[Cmd, Callable[[Cabinet, Mapping[str, str]], None]] = {
    Cmd.UNLOCK_DOOR: _unlock,
    Cmd.AIR_CONDITIONER: _run_air,
    Cmd.AIR_CONDITIONER_TEMPERATURE: _set_points,
    Cmd.POWER_MODE: lambda cabinet, fields: setattr(cabinet, "power_mode", int(fields["mode"])),
    Cmd.DOOR_GUARD: _guard,
    Cmd.RECTIFIER: _rectifiers,
    Cmd.BATTERY_TEST: _test_battery,
    Cmd.BATTERY_TEST_RESULT: lambda cabinet, fields: None,  # the answer has the result
}
