"""Alarms that people are called for whatever else holds."""

EMERGENCIES = frozenset({"smoke", "water", "flood", "fire"})
"""Conditions that are never muted, and listed above all."""


def is_emergency(name: str) -> bool:
    """Tell whether the alarm `name`, `SUBJECT.CONDITION`, is an emergency."""
    return name.rpartition(".")[2] in EMERGENCIES
