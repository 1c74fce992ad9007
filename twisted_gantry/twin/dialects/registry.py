"""All dialects, and the voices of the twin's endpoints that speak them."""

from collections.abc import Mapping
from typing import Any

from twisted_gantry.twin.dialects import cabinet, cfos, cloud, ems, platform, ups
from twisted_gantry.twin.dialects.dialect import Dialect, Peer, UnknownDialect, Voice

DIALECTS: Mapping[Peer, tuple[Dialect, ...]] = {
    Peer.UPS: ups.DIALECTS,
    Peer.CFOS: cfos.DIALECTS,
    Peer.EMS: ems.DIALECTS,
    Peer.CABINET: cabinet.DIALECTS,
    Peer.PLATFORM: platform.DIALECTS,
    Peer.CLOUD: cloud.DIALECTS,
}
_SUFFIX = ".dialect"


class UnknownEndpoint(LookupError):
    """An unknown endpoint; the text names the known ones."""


def voice(peer: Peer) -> Voice:
    """Return a voice that speaks as the documents have it."""
    return Voice(peer, DIALECTS[peer])


class Voices:
    """The voices of a twin by endpoint: the UPSs, `cfos`, `bms1`, the cabinets, `etc`, …"""

    def __init__(self, voices: Mapping[str, Voice]) -> None:
        self._voices = voices

    def __getitem__(self, endpoint: str) -> Voice:
        if endpoint not in self._voices:
            known = ", ".join(self._voices)
            raise UnknownEndpoint(f"no endpoint {endpoint[:40]!r}; there are {known}")
        return self._voices[endpoint]

    def speak(self, wanted: Mapping[str, object]) -> None:
        """Change the dialects of several endpoints, all or none.

        Raises UnknownDialect and UnknownEndpoint.
        """
        for endpoint, names in wanted.items():
            try:
                self[endpoint].read(names)
            except UnknownDialect as error:
                raise UnknownDialect(f"{endpoint}{_SUFFIX}: {error}") from None
        for endpoint, names in wanted.items():
            self[endpoint].speak(names)

    def spoken(self) -> dict[str, list[str]]:
        """Return the dialects in force, of each endpoint."""
        return {endpoint: each.names for endpoint, each in self._voices.items()}


def parted(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the settings of a world: variables, and dialects by endpoint (`ups1.dialect`)."""
    dialects = {k.removesuffix(_SUFFIX): v for k, v in values.items() if k.endswith(_SUFFIX)}
    return {k: v for k, v in values.items() if not k.endswith(_SUFFIX)}, dialects


def listed() -> list[dict[str, str]]:
    """Return every dialect with its peer and its sentences, as the control API shows them."""
    return [
        {"peer": peer.value, "name": each.name, "en": each.en, "zh": each.zh}
        for peer, dialects in DIALECTS.items()
        for each in dialects
    ]
