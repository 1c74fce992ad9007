"""The names under which a pending "on" is stored: by the place of the relay and its contact."""

import re

_KEY = re.compile(r"relay\.(?P<place>.+)\.(?P<on>[0-9a-f]+)\.on-pending")


def pending_key(place: tuple[str, int], on: bytes) -> str:
    """Return the name of the setting for the contact that the bytes `on` close."""
    host, port = place
    return f"relay.{host}:{port}.{on.hex()}.on-pending"


def old_key(device: str) -> str:
    """Return the name that earlier versions used."""
    return f"relay.{device}.on-pending"


def place_of(key: str) -> str:
    """Return the place in the name of a setting, empty for any other name."""
    found = _KEY.fullmatch(key)
    return found["place"] if found else ""
