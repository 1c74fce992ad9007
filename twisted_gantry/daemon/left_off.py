"""Relays that were switched off for a pulse, and that no device of the configuration switches on.

A pending "on" is stored by the place of the relay, so that another name of the device does not lose
it. If the device was removed, an alarm names the place until the relay is configured again.
"""

from twisted.logger import Logger

from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.interfaces import IRelay
from twisted_gantry.core.site import Site
from twisted_gantry.devices.relay.pending import place_of

_log = Logger()

ALARM = "gantry.relay-left-off"


async def look_for_left_off(site: Site) -> None:
    """Raise the alarm, or clear it. Fails with the errors of the store."""
    settings = await site.store.settings()
    known = {each.pending_on for each in site.devices.values() if IRelay.providedBy(each)}
    left = [place_of(key) for key, value in settings.items() if value is True and key not in known]
    places = ", ".join(sorted(place for place in left if place))
    if not places:
        site.alarms.clear(ALARM)
        return
    en = f"switched off for a pulse, and configured no more: {places}; configure the relay again"
    zh = f"继电器已断电但不再配置：{places}；请重新配置该继电器以恢复供电"
    _log.error("{text}", text=en)
    site.alarms.set(ALARM, Severity.CRITICAL, en, zh)
