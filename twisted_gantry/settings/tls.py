"""`[tls]`, and the same keys of a device or an uplink: PEM files, read with the configuration.

Their contents are part of the settings, so that a reload notices a file that was renewed.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from twisted_gantry.net.pem import (
    LATER,
    SYSTEM,
    Pem,
    TlsSettings,
    with_defaults,
    wrong_keys,
    wrong_pem,
)
from twisted_gantry.settings.sources import path_of
from twisted_gantry.settings.tables import Document
from twisted_gantry.settings.tables import Path as Place

_SHA256 = re.compile(r"[0-9a-f]{64}")
_S = TypeVar("_S", bound=msgspec.Struct)


def read_pem(folder: Path, value: Any) -> Pem:
    """Return the file that `value` names. Raises ValueError, which shows nothing of the file."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be the path of a PEM file")
    return SYSTEM if value == SYSTEM.path else Pem.read(path_of(folder, value))


def fingerprints(texts: Sequence[str]) -> frozenset[str]:
    """Return SHA-256 fingerprints as hex digits without colons."""
    return frozenset(text.replace(":", "").replace(" ", "").lower() for text in texts)


def wrong_fingerprints(texts: Sequence[str]) -> str:
    """Return what is wrong with `allowed_certificates`, empty if nothing is."""
    wrong = [text for text in texts if not all(map(_SHA256.fullmatch, fingerprints([text])))]
    shown = ", ".join(repr(text[:100]) for text in wrong)
    return f"no SHA-256 fingerprint of 64 hex digits: {shown}" if wrong else ""


def wrong_ca(pem: Pem | None) -> str:
    return "" if pem is None or pem == LATER else wrong_pem(lambda: pem.certificates)


def with_tls(document: Document, place: Place, settings: _S, given: TlsSettings) -> _S:
    """Return `settings` with the keys of `[tls]`, here `given`, where they have none of their own.
    What is wrong with the own ones is noted in `document`.
    """
    if isinstance(settings, TlsSettings):
        wrong = wrong_keys(settings)
        for key, text in wrong.items():
            document.wrong((*place, key), text)
        given_files = (settings.ca, settings.client_cert, settings.client_key)
        if wrong or LATER in given_files:  # told once; the driver shall not tell it again
            settings = msgspec.structs.replace(settings, ca=None, client_cert=None, client_key=None)
    completed: _S = with_defaults(settings, given)
    return completed
