"""The devices and their commands for a `cmd` of the platform.

Devices are chosen by their cabinet and their commands, never by their kind. Source: the ETC
document, section 3.2; decisions: `docs/protocols/etc-gantry.md`, "Commands are dangerous".
"""

from collections.abc import Iterable, Mapping

from twisted_gantry.core.interfaces import IRelay
from twisted_gantry.core.site import Cabinet, Site
from twisted_gantry.web.remotecontrol.battery import supply_is_good, test_wishes
from twisted_gantry.web.remotecontrol.wish import CannotDo, Wish, device_of
from twisted_gantry.wire.etc.commands import ALL_AIR_CONDITIONERS, Cmd, EtcCommand
from twisted_gantry.wire.etc.envelope import same_id

# By cmd: the group whose sources execute it (empty: all groups), and the device's command.
_COMMANDS: Mapping[Cmd, tuple[str, str]] = {
    Cmd.UNLOCK_DOOR: ("doors", "unlock-door"),
    Cmd.AIR_CONDITIONER: ("air_conditioners", "air-conditioner"),
    Cmd.AIR_CONDITIONER_TEMPERATURE: ("air_conditioners", "air-conditioner-temperature"),
    Cmd.POWER_MODE: ("", "power-mode"),
    Cmd.DOOR_GUARD: ("doors", "door-guard"),
    Cmd.RECTIFIER: ("rectifier", "rectifier"),
}
_OFF = "0"


def cabinets_of(site: Site, command: EtcCommand) -> tuple[Cabinet, ...]:
    wanted = command.cabinet_id
    return tuple(each for each in site.cabinets if wanted in {None, same_id(each.id)})


def wishes_of(site: Site, command: EtcCommand) -> tuple[Wish, ...]:
    """Return the commands of the devices, none for a query. Raises CannotDo."""
    cabinets = cabinets_of(site, command)
    if command.cmd is Cmd.BATTERY_TEST_RESULT:
        return ()
    if command.cmd is Cmd.POWER_CYCLE:
        wishes = _relay(site, command.fields["rebootIp"], command.fields["rebootPort"])
    elif command.cmd is Cmd.BATTERY_TEST:
        start = command.fields["testStartStop"] != _OFF
        wishes = [w for cabinet in cabinets for w in test_wishes(site, cabinet, start=start)]
    else:
        wishes = _grouped(site, cabinets, command)
    # A device that is the source of two cabinets gets its command once.
    distinct = tuple({wish.target: wish for wish in wishes}.values())
    if not distinct:
        raise CannotDo("本站没有设备能执行该命令")
    for wish in distinct:
        kind = site.devices[wish.target].commands[wish.command]
        if kind.locked or kind.local_only:
            raise CannotDo(f"{wish.target}：不允许远程执行")
    return distinct


def _grouped(site: Site, cabinets: Iterable[Cabinet], command: EtcCommand) -> list[Wish]:
    group, name = _COMMANDS[command.cmd]
    wishes: list[Wish] = []
    for cabinet in cabinets:
        groups = [group] if group else list(cabinet.sources)
        sources = [each for g in groups for each in cabinet.sources.get(g, ())]
        able = site.door.able(name, dict.fromkeys(map(device_of, sources)))
        if able:
            _check(site, cabinet, command, able)
        wishes += [Wish(each, name, dict(command.fields)) for each in able]
    return wishes


def _check(site: Site, cabinet: Cabinet, command: EtcCommand, able: list[str]) -> None:
    """Raise CannotDo for a command that this cabinet does not allow."""
    fields = command.fields
    if command.cmd is Cmd.POWER_MODE and fields["mode"] not in cabinet.allow_power_modes:
        raise CannotDo(f"未允许远程设置电源模式{fields['mode']}")
    if fields.get("airId", ALL_AIR_CONDITIONERS) != ALL_AIR_CONDITIONERS and len(able) > 1:
        # Each device counts its air conditioners from 1.
        raise CannotDo("空调分属多个设备，编号不明确")
    if command.cmd is Cmd.RECTIFIER and fields["onOff"] == _OFF:
        if not cabinet.allow_rectifier_off:
            raise CannotDo("未允许远程关闭整流模块")
        if not supply_is_good(site, cabinet):
            raise CannotDo("市电或电池异常，不能关闭整流模块")


def _relay(site: Site, host: str, port: str) -> list[Wish]:
    wanted = (host.lower(), int(port))
    found = [
        name
        for name, device in site.devices.items()
        if IRelay.providedBy(device)
        and (str(device.place[0]).lower(), int(device.place[1])) == wanted
    ]
    if not found:
        raise CannotDo("未配置该继电器")
    return [Wish(name, "power-cycle", {}) for name in site.door.able("power-cycle", found)]
