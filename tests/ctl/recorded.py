"""What a gantry answers, as the local API gives it."""

from typing import Any

SITE: dict[str, Any] = {
    "gantryId": "G000211001002110010",
    "name": "演示门架 demo gantry",
    "version": "0.1.0",
    "startedAt": "2026-10-12T08:00:00.000+08:00",
    "devices": [
        {
            "name": "ups1",
            "kind": "ups-card",
            "state": "online",
            "since": "2026-10-12T08:00:01.250+08:00",
            "lastError": None,
        },
        {
            "name": "pc1",
            "kind": "computer",
            "state": "online",
            "since": "2026-10-12T08:00:00.100+08:00",
            "lastError": None,
        },
    ],
    "uplinks": [
        {
            "name": "etc",
            "state": "online",
            "since": "2026-10-12T08:00:02.000+08:00",
            "lastError": None,
            "queued": 0,
            "setAside": 3,
            "lastDelivered": "2026-10-12T09:55:00.000+08:00",
            "ledger": {
                "created": 123456789,
                "delivered": 123456782,
                "queued": 0,
                "setAside": 3,
                "dropped": 4,
                "bytes": 7654321,
                "oldest": None,
            },
        }
    ],
}

OFFLINE_SITE: dict[str, Any] = {
    **SITE,
    "devices": [
        {
            **SITE["devices"][0],
            "state": "offline",
            "lastError": "no connection to tcp:192.168.1.20:2390: the connection was refused",
        },
        SITE["devices"][1],
    ],
    "uplinks": [
        {
            **SITE["uplinks"][0],
            "state": "connecting",
            "lastError": "1005 the platform does not know this gantry",
            "queued": 12,
            "ledger": {
                **SITE["uplinks"][0]["ledger"],
                "queued": 12,
                "oldest": "2026-10-12T09:00:00.000+08:00",
            },
        }
    ],
}

POINTS: dict[str, Any] = {
    "points": [
        {
            "point": "ups1.input_voltage_r",
            "value": 220.123456789,
            "unit": "V",
            "quality": "good",
            "at": "2026-10-12T10:00:00.123+08:00",
            "label": {"en": "Input voltage R", "zh": "输入电压R"},
        },
        {
            "point": "ups1.rated_battery_voltage",
            "value": 192.0,
            "unit": "V",
            "quality": "get-failed",
            "at": "2026-10-12T09:00:00.000+08:00",
            "label": {"en": "Rated battery voltage", "zh": "额定电池电压"},
        },
        {
            "point": "ups1.fault_voltage",
            "value": None,
            "unit": "V",
            "quality": "not-supported",
            "at": None,
            "label": {"en": "Fault voltage", "zh": "故障电压"},
        },
        {
            "point": "ups1.mains_abnormal",
            "value": True,
            "unit": "",
            "quality": "good",
            "at": "2026-10-12T10:00:00.123+08:00",
            "label": {"en": "Mains abnormal", "zh": "市电异常"},
        },
        {
            "point": "pc1.memory_total",
            "value": 9007199254740993,
            "unit": "KiB",
            "quality": "good",
            "at": "2026-10-12T10:00:00.123+08:00",
            "label": {"en": "Memory", "zh": "内存"},
        },
    ]
}

ACTIVE: dict[str, Any] = {
    "alarm": "ups1.mains-abnormal",
    "source": "ups1",
    "severity": "critical",
    "message": "mains abnormal",
    "messageZh": "市电异常",
    "raisedAt": "2026-10-12T09:59:00.000+08:00",
    "clearedAt": None,
}
CLEARED: dict[str, Any] = {
    "alarm": "ups1.on-raw-mains",
    "source": "ups1",
    "severity": "warning",
    "message": "the load is on raw mains (bypass or economy)",
    "messageZh": "负载由旁路供电",
    "raisedAt": "2026-10-12T09:00:00.000+08:00",
    "clearedAt": "2026-10-12T09:00:30.000+08:00",
}

AUDIT: dict[str, Any] = {
    "entries": [
        {
            "id": "a1",
            "at": "2026-10-12T09:30:00.000+08:00",
            "who": "api 127.0.0.1 operator",
            "target": "ups1",
            "command": "query",
            "args": {"cmd": "QRI"},
            "result": "done",
            "detail": "",
            "value": "(220.0 020 192.0 50.0",
        },
        {
            "id": "a2",
            "at": "2026-10-12T09:31:00.000+08:00",
            "who": "remotecontrol 10.0.0.7",
            "target": "ups1",
            "command": "set-password",
            "args": {"new": "***"},
            "result": "timeout",
            "detail": "no reply in time; the next reading shows what happened",
            "value": None,
        },
    ]
}

OUTBOX: dict[str, Any] = {
    "reports": [
        {
            "id": 41,
            "uplink": "etc",
            "kind": "cabinetStatusUpdate",
            "subject": "1",
            "state": "set-aside",
            "createdAt": "2026-10-12T09:10:00.000+08:00",
            "urgent": True,
            "tries": 2,
            "reason": "1005 the platform refuses the field upsStatus",
            "bytes": 1834,
        },
        {
            "id": 42,
            "uplink": "etc",
            "kind": "computerStatusUpdate",
            "subject": "1",
            "state": "queued",
            "createdAt": "2026-10-12T09:15:00.000+08:00",
            "urgent": False,
            "tries": 0,
            "reason": "",
            "bytes": 911,
        },
    ]
}

_NONE: dict[str, Any] = {"arguments": [], "danger": "", "locked": ""}


def _argument(name: str, kind: str, required: bool = True, secret: bool = False) -> Any:
    return {"name": name, "type": kind, "required": required, "secret": secret}


COMMANDS: dict[str, Any] = {
    "devices": [
        {
            "target": "ups1",
            "commands": [
                {"command": "BZOFF", "en": "buzzer off", "zh": "关闭蜂鸣器", **_NONE},
                {
                    "command": "SOFF",
                    "en": "output off",
                    "zh": "关闭输出",
                    "arguments": [],
                    "danger": "darkens the gantry",
                    "locked": "",
                },
                {
                    "command": "query",
                    "en": "query",
                    "zh": "查询",
                    "arguments": [_argument("cmd", "string")],
                    "danger": "",
                    "locked": "",
                },
                {
                    "command": "set-password",
                    "en": "set the card's password",
                    "zh": "设置管理卡密码",
                    "arguments": [_argument("new", "string", secret=True)],
                    "danger": "",
                    "locked": "",
                },
            ],
        },
        {
            "target": "ups2",
            "commands": [
                {
                    "command": "SOFF",
                    "en": "output off",
                    "zh": "关闭输出",
                    "arguments": [],
                    "danger": "darkens the gantry",
                    "locked": "SOFF is locked: it needs allow_off = true on the device",
                },
            ],
        },
        {
            "target": "cfos",
            "commands": [
                {
                    "command": "override",
                    "en": "override the charging current",
                    "zh": "设定充电电流",
                    "arguments": [
                        _argument("dev_id", "string"),
                        _argument("mamps", "integer", required=False),
                        _argument("share", "number", required=False),
                        _argument("force", "boolean", required=False),
                        _argument("id", "string", required=False),
                        _argument("flags", "array", required=False),
                        _argument("pin", "integer", required=False, secret=True),
                    ],
                    "danger": "",
                    "locked": "",
                },
            ],
        },
        {"target": "pc1", "commands": []},
    ]
}

DONE: dict[str, Any] = {"id": "c1", "result": "done", "detail": "", "value": "(OK"}

ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", "/api/v1/site"): SITE,
    ("GET", "/api/v1/points"): POINTS,
    ("GET", "/api/v1/alarms"): {"alarms": []},
    ("GET", "/api/v1/audit"): AUDIT,
    ("GET", "/api/v1/outbox"): OUTBOX,
    ("GET", "/api/v1/commands"): COMMANDS,
    ("POST", "/api/v1/commands"): DONE,
    ("POST", "/api/v1/outbox/retry"): {"retried": 3},
    ("GET", "/healthz"): {"status": "ok", "reasons": [], "notes": []},
}
