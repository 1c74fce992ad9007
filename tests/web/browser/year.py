"""A year of history for the demonstration, made before its gantry starts."""

import math
import time
from pathlib import Path

from twisted_gantry.store.history import tiers
from twisted_gantry.store.history.blocks import WHOLE, Entry, pack_entries
from twisted_gantry.store.history.schema import open_database
from twisted_gantry.store.history.tiers import DAY, QUARTER

POINTS = ("ups1.load_r", "ups1.battery_charge", "ups1.input_voltage_r", "ups1.temperature")
GAP = range(100, 104)
"""Days ago of which nothing is known."""


def make_year(folder: Path) -> None:
    """Fill a new history with quarters of an hour, up to yesterday."""
    folder.mkdir(parents=True, exist_ok=True)
    db, _ = open_database(folder, time.time)
    today = int(time.time() * 1000) // DAY
    db.executemany("INSERT INTO point (name) VALUES (?)", [(name,) for name in POINTS])
    bodies = []
    for number in range(len(POINTS)):
        middles = [50 * number + 20 + 10 * math.sin(quarter / 15) for quarter in range(96)]
        entries = (
            Entry(q, WHOLE, middle - 3, middle, middle + 3) for q, middle in enumerate(middles)
        )
        bodies.append(pack_entries(entries))
    db.execute("BEGIN")
    for day in range(today - 370, today):
        if today - day in GAP:
            continue
        for number, body in enumerate(bodies, 1):
            tiers.put(db, QUARTER, day, number, body)
        tiers.mark(db, QUARTER, day)
    db.execute("COMMIT")
    db.close()
