"""Decoding a message of each protocol untyped, beside msgspec alone on the same bytes."""

import sys
from typing import Any

import msgspec

from scripts.benchmarks.cfos import milliseconds, poll
from scripts.benchmarks.report import bar, figure
from twisted_gantry.wire.json import loads

# Both read the keys, numbers and depth of each value: a walk in Python behind a decoder in C.
LIMIT = 16.0

REPLY: dict[str, Any] = {
    "uid": "1",
    "session": "12345678",
    "cmd": "QAD",
    "value": "(220.1 220.2 220.3 50.1 ---.- ---.- ---.- 149.5 221 222 223 50 5 6 7 20 30 25 216.5 "
    "31687 90 37.5 0000100000000011",
}
UPLOAD: dict[str, Any] = {
    "gantryId": "G000211001002110010",
    "method": "cabinetStatusUpdate",
    "timeStamp": "1796000000",
    "version": "1001",
    "cabinetStatus": {
        "id": "1",
        "elec": [{"id": "1", "status": "1", "voltage": "220", "current": "5", "warningMsg": ""}],
        "thermohygrometer": {"status": "1", "temperature": "25.00", "humidity": "40.00"},
        "doors": {
            f"{side}Door{name}": "1"
            for side in ("front", "back")
            for name in ("Closed", "Locked", "UnlockType", "UnlockCardId", "ChangeTime")
        },
        "smokeSensor": {"status": "1", "isWarning": "0", "warningChangeTime": "NoData"},
    },
}
ANSWER: dict[str, Any] = {"code": "1000", "msg": "成功"}
STATUS: dict[str, Any] = {
    "code": 0,
    "message": "ok",
    "data": {"device_uid": "b", "alarm_status": 2, "operating_status": 2},
}
RECORD: dict[str, Any] = {"res200": {"eqSN": "1", "packID": "7", "code": "0"}}


def main() -> bool:
    """Return True when the bar is met for each message."""
    messages = {
        "a UPS reply": msgspec.json.encode(REPLY),
        "a cabinet's upload": msgspec.json.encode(UPLOAD),
        "a platform's answer": msgspec.json.encode(ANSWER),
        "a BMS status": msgspec.json.encode(STATUS),
        "a Fogslink answer": msgspec.json.encode(RECORD),
        "a cFos poll": poll(),
    }
    met = True
    for name, data in messages.items():
        reference = milliseconds(msgspec.json.decode, data)
        figure(f"msgspec, {name} of {len(data)} bytes", reference * 1000, "µs")
        met &= bar(f"loads, {name}", milliseconds(loads, data) / reference, "×", LIMIT)
    return met


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
