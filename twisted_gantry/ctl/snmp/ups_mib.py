"""UPS-MIB (RFC 1628) of one UPS, as far as its card has values.

Left out are what cards do not tell: battery current and temperature, powers, the bypass, counts of
bad lines, transfer points. Nothing can be set.
"""

from collections.abc import Iterable, Iterator, Mapping
from zlib import crc32

from twisted_gantry import __version__
from twisted_gantry.ctl.snmp.snapshot import Snapshot, unix
from twisted_gantry.ctl.snmp.tree import (
    Oid,
    SnmpType,
    SnmpValue,
    ascii_text,
    integer,
    oid_value,
    text,
    unsigned,
)
from twisted_gantry.wire import local_api
from twisted_gantry.wire.reading import Value

UPS_MIB: Oid = (1, 3, 6, 1, 2, 1, 33)
ALARM_ID: Oid = (1, 6, 2, 1, 1)
ALARM_DESCR: Oid = (1, 6, 2, 1, 2)
MINUTES_LEFT: Oid = (1, 2, 3, 0)
SECONDS_ON_BATTERY: Oid = (1, 2, 2, 0)
LOW_MINUTES: Oid = (1, 9, 7, 0)
LOW_RUNTIME = 300.0  # seconds, the default of the NUT server, too

ON_BATTERY, COMMUNICATIONS_LOST, TEST_IN_PROGRESS = 2, 20, 24
WELL_KNOWN: Mapping[str, int] = {
    "on-battery": ON_BATTERY,
    "battery-low": 3,
    "mains-abnormal": 6,
    "input-over-voltage": 6,
    "input-under-voltage": 6,
    "phase-l1-lost": 6,
    "phase-l2-lost": 6,
    "phase-l3-lost": 6,
    "overload": 8,
    "on-raw-mains": 9,
    "output-off": 14,
    "ups-fault": 18,
    "self-test-failed": 19,
    "offline": COMMUNICATIONS_LOST,
    "shutting-down": 23,
}
"""The well-known alarm for each of ours, by the number below upsWellKnownAlarms."""

_SOURCES = {"line": 3, "converter": 3, "bypass": 4, "he": 4, "battery": 5, "test": 5}
_NONE, _OTHER = 2, 1
_RESULTS = {"good": 1, "failed": 3}
_IN_PROGRESS, _NO_TEST = 5, 6


def alarm_oid(number: int) -> Oid:
    """Return what upsAlarmDescr says of a well-known alarm."""
    return (*UPS_MIB, 1, 6, 3, number)


def alarm_id(number: int, raised_at: str | None) -> int:
    """Return upsAlarmId, from 1: the same for every agent that asks the same gantry, also after a
    restart.
    """
    return crc32(f"{number} {raised_at}".encode()) % (2**31 - 1) + 1


def well_known(active: Iterable[local_api.AlarmView], ups: str) -> dict[int, local_api.AlarmView]:
    """Return the active alarms of a UPS by the number of the well-known one, each the oldest."""
    found: dict[int, local_api.AlarmView] = {}
    for alarm in sorted(active, key=lambda each: unix(each.raised_at) or 0.0):
        source, _, name = alarm.alarm.partition(".")
        number = WELL_KNOWN.get(name)
        if source == ups and number is not None:
            found.setdefault(number, alarm)
    return found


def ups_objects(
    snapshot: Snapshot, ups: str, now: float, started: float
) -> Iterator[tuple[Oid, SnmpValue]]:
    """Yield the objects of a UPS by their arcs below upsMIB. `now` and `started`, the moment from
    which sysUpTime counts, are Unix seconds.
    """
    yield from _identity(snapshot, ups)
    yield from _battery(snapshot, ups, now)
    yield from _lines(snapshot, ups)
    yield from alarm_objects(
        [(number, alarm.raised_at) for number, alarm in well_known(snapshot.alarms, ups).items()],
        started,
    )
    yield from _test(snapshot, ups)
    yield from _configuration(snapshot, ups)


def lost_objects(ups: str, since: float, started: float) -> Iterator[tuple[Oid, SnmpValue]]:
    """Yield what is known of a UPS while the gantry does not answer, `since` Unix seconds."""
    yield (1, 1, 5, 0), ascii_text(ups, 63)
    yield (1, 2, 1, 0), _enum(1)
    yield from alarm_objects([(COMMUNICATIONS_LOST, str(since))], started, since)


def _enum(value: int) -> SnmpValue:
    return SnmpValue(SnmpType.INTEGER, str(value))


def _natural(value: Value, factor: float = 1.0) -> SnmpValue | None:
    """Return a number from 0 in another unit; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return integer(value * factor)


def _known(
    pairs: Mapping[Oid, SnmpValue | None],
) -> Iterator[tuple[Oid, SnmpValue]]:
    for oid, value in pairs.items():
        if value is not None:
            yield oid, value


def _identity(snapshot: Snapshot, ups: str) -> Iterator[tuple[Oid, SnmpValue]]:
    told = (("manufacturer", 31), ("model", 63), ("hardware_version", 63))
    for arc, (name, most) in enumerate(told, 1):
        value = snapshot.last(f"{ups}.{name}")
        yield (1, 1, arc, 0), ascii_text("" if value is None else value, most)
    yield (1, 1, 4, 0), ascii_text(f"twisted_gantry {__version__}", 63)
    yield (1, 1, 5, 0), ascii_text(ups, 63)
    yield (1, 1, 6, 0), text("")


def _battery(snapshot: Snapshot, ups: str, now: float) -> Iterator[tuple[Oid, SnmpValue]]:
    runtime, low = snapshot.good(f"{ups}.battery_runtime"), snapshot.good(f"{ups}.battery_low")
    minutes: int | None = None
    if isinstance(runtime, int | float) and runtime > 0:
        minutes = max(1, int(runtime // 60))
        low = low or runtime <= LOW_RUNTIME
    yield (1, 2, 1, 0), _enum(1 if low is None else 3 if low else 2)
    on_battery = well_known(snapshot.alarms, ups).get(ON_BATTERY)
    since = unix(on_battery.raised_at) if on_battery is not None else None
    seconds = 0.0 if on_battery is None else max(1.0, now - (now if since is None else since))
    yield from _known(
        {
            SECONDS_ON_BATTERY: integer(seconds),
            MINUTES_LEFT: None if minutes is None else integer(minutes),
            (1, 2, 4, 0): _natural(snapshot.good(f"{ups}.battery_charge")),
            (1, 2, 5, 0): _natural(snapshot.good(f"{ups}.battery_voltage"), 10),
        }
    )


def _lines(snapshot: Snapshot, ups: str) -> Iterator[tuple[Oid, SnmpValue]]:
    """Yield the groups of inputs and outputs."""

    def natural(name: str, factor: float = 1.0) -> SnmpValue | None:
        return _natural(snapshot.good(f"{ups}.{name}"), factor)

    phases = snapshot.last(f"{ups}.phases")
    counts = (phases[0], phases[2]) if isinstance(phases, str) and len(phases) == 3 else ("3", "3")
    inputs, outputs = (int(each) if each.isdigit() else 3 for each in counts)
    yield (1, 3, 2, 0), _enum(inputs)
    yield (1, 4, 3, 0), _enum(outputs)
    yield (1, 4, 1, 0), _enum(_source(snapshot, ups))
    yield from _known({(1, 4, 2, 0): natural("output_frequency", 10)})
    for line, phase in enumerate("rst", 1):
        if line <= inputs:
            yield from _known(
                {
                    (1, 3, 3, 1, 2, line): natural("input_frequency", 10),
                    (1, 3, 3, 1, 3, line): natural(f"input_voltage_{phase}"),
                    (1, 3, 3, 1, 4, line): natural(f"input_current_{phase}", 10),
                }
            )
        if line <= outputs:
            load = snapshot.good(f"{ups}.load_{phase}")
            most = min(load, 200) if isinstance(load, int | float) else None
            yield from _known(
                {
                    (1, 4, 4, 1, 2, line): natural(f"output_voltage_{phase}"),
                    (1, 4, 4, 1, 3, line): natural(f"output_current_{phase}", 10),
                    (1, 4, 4, 1, 5, line): _natural(most),
                }
            )


def _source(snapshot: Snapshot, ups: str) -> int:
    if snapshot.good(f"{ups}.output_off") is True:
        return _NONE
    return _SOURCES.get(str(snapshot.good(f"{ups}.state")), _OTHER)


def alarm_objects(
    alarms: list[tuple[int, str | None]], started: float, since: float | None = None
) -> Iterator[tuple[Oid, SnmpValue]]:
    """Yield the alarm group: well-known numbers, and when each was raised (or `since`)."""
    yield (1, 6, 1, 0), unsigned(len(alarms))
    for number, raised_at in alarms:
        row, at = alarm_id(number, raised_at), unix(raised_at) if since is None else since
        yield (*ALARM_DESCR, row), oid_value(alarm_oid(number))
        ticks = 0.0 if at is None else (at - started) * 100
        yield (1, 6, 2, 1, 3, row), unsigned(ticks, SnmpType.TICKS)


def _test(snapshot: Snapshot, ups: str) -> Iterator[tuple[Oid, SnmpValue]]:
    if snapshot.good(f"{ups}.state") == "test":
        result = _IN_PROGRESS
    else:
        result = _RESULTS.get(str(snapshot.last(f"{ups}.self_test")), _NO_TEST)
    test = 1 if result == _NO_TEST else 4  # none initiated, a quick test of the battery
    yield (1, 7, 1, 0), oid_value((*UPS_MIB, 1, 7, 7, test))
    yield (1, 7, 2, 0), _enum(1)
    yield (1, 7, 3, 0), _enum(result)
    yield (1, 7, 4, 0), text("")


def _configuration(snapshot: Snapshot, ups: str) -> Iterator[tuple[Oid, SnmpValue]]:
    def rated(name: str, factor: float = 1.0) -> SnmpValue | None:
        return _natural(snapshot.last(f"{ups}.{name}"), factor)

    muted = snapshot.good(f"{ups}.buzzer_muted")
    yield from _known(
        {
            (1, 9, 1, 0): rated("nominal_voltage"),
            (1, 9, 2, 0): rated("rated_frequency", 10),
            (1, 9, 3, 0): rated("rated_output_voltage"),
            (1, 9, 4, 0): rated("rated_frequency", 10),
            (1, 9, 5, 0): rated("rated_power"),
            LOW_MINUTES: integer(LOW_RUNTIME / 60),
            (1, 9, 8, 0): None if muted is None else _enum(3 if muted else 2),
        }
    )
