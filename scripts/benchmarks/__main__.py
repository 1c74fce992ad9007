"""Run the benchmarks that are named, or all: each prints its figures and what they must be."""

import sys

from scripts.benchmarks import (
    alarm,
    centre,
    cfos,
    decode,
    drain,
    export,
    fleet,
    history,
    hostile,
    idle,
    images,
    memory,
    modbus,
    mqtt,
    notify,
    nut,
    outbox,
    remotecontrol,
    rules,
    stalled,
    strangers,
    stream,
    world,
)

BENCHMARKS = {
    "outbox": outbox.main,
    "alarm": alarm.main,
    "notify": notify.main,
    "idle": idle.main,
    "centre": centre.main,
    "cfos": cfos.main,
    "decode": decode.main,
    "images": images.main,
    "memory": memory.main,
    "modbus": modbus.main,
    "mqtt": mqtt.main,
    "nut": nut.main,
    "remotecontrol": remotecontrol.main,
    "rules": rules.main,
    "stalled": stalled.main,
    "stream": stream.main,
    "drain": drain.main,
    "export": export.main,
    "history": history.main,
    "world": world.main,
    "fleet": fleet.main,
    "strangers": strangers.main,
    "hostile": hostile.main,
}


def main() -> int:
    """Return 0 when every bar was met."""
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
        return 2
    met = [BENCHMARKS[name]() for name in names]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
