"""Decoding a poll of a manager with ten devices, beside decoding the same bytes untyped."""

import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from scripts.benchmarks.report import bar, figure
from twisted_gantry.wire.cfos.values import decode_dev_info

DEVICES = 10
ROUNDS, REPEATS = 200, 7
LIMIT_MS = 1.0

PARAMS: dict[str, Any] = {
    "title": "cFos Power Brain",
    "max_total_current": 32000,
    "reserve_current": 0,
    "overdraft_cur": 0,
    "max_total_evse_current": 0,
    "cons_evse_power": 0,
    "avail_evse_power": 32000,
    "lb_enabled": True,
    "disable_policy": 1,
    "cycle_time": 3009,
    "version": "1.8.1095",
    "time": 1645281534,
    "vsn": {"vendorid": 52997},
}
COMMON: dict[str, Any] = {
    "device_enabled": 1,
    "name": "Säule",
    "address": "192.168.2.20:4701",
    "id": 1,
    "desc": "cFos Power Brain Wallbox 11kW",
    "com_err": False,
    "com_err_secs": 1404660,
    "com_errors": 0,
    "last_error": "",
    "used_phases": 0,
    "model": "cFos Power Brain,1.0,1.8.1095,6d-31-0c",
    **{f"current_l{n}": 15900 for n in (1, 2, 3)},
    **{f"voltage_l{n}": 230 for n in (1, 2, 3)},
}
EVSE: dict[str, Any] = {
    **COMMON,
    "dev_type": "evse_powerbrain",
    "is_evse": True,
    "label": "",
    "min_charging_cur": 6000,
    "max_charging_cur": 16000,
    "prio": 1,
    "charging_enabled": True,
    "cur_charging_power": 10971,
    "total_energy": 7120572,
    "phases": 7,
    "state": 3,
    "paused": False,
    "pause_time": 300,
    "pause_min_time": 300,
    "evse": {"cp_state": "Charging", "pp_state": "no cable", "current": 15900, "enabled": True},
}
METER: dict[str, Any] = {
    **COMMON,
    "dev_type": "meter_powerbrain",
    "is_evse": False,
    "is_va": False,
    "invert": False,
    "import": 15,
    "export": 0,
    "power_w": 10971,
    "role": 1,
}


def poll() -> bytes:
    """Return a poll of as many EVSEs as meters."""
    half = range(1, DEVICES // 2 + 1)
    devices = [{**EVSE, "dev_id": f"E{n}"} for n in half]
    devices += [{**METER, "dev_id": f"M{n}"} for n in half]
    return msgspec.json.encode({"params": PARAMS, "devices": devices})


def milliseconds(work: Callable[[bytes], object], data: bytes) -> float:
    """Return how long one call takes, by the best of several rounds."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        for _ in range(ROUNDS):
            work(data)
        best = min(best, (time.perf_counter() - began) / ROUNDS)
    return best * 1000


def main() -> bool:
    """Return True when the bar is met."""
    data = poll()
    print(f"cfos: a poll of {DEVICES} devices, {len(data)} bytes")
    reference = milliseconds(msgspec.json.decode, data)
    taken = milliseconds(decode_dev_info, data)
    figure("msgspec, untyped, the same bytes", reference, "ms")
    figure("decoded to that", taken / reference, "×")
    return bar("decoded into readings", taken, "ms", LIMIT_MS)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
