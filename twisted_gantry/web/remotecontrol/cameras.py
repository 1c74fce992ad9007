"""Pictures that a cabinet below keeps itself: asked for when our own folder has none."""

import os

from twisted.logger import Logger

from twisted_gantry.core.interfaces import ICamera, NotTold, Picture
from twisted_gantry.core.site import Site
from twisted_gantry.web.remotecontrol.picture_files import Found
from twisted_gantry.web.remotecontrol.wish import device_of
from twisted_gantry.wire.etc.envelope import digest

_log = Logger()


async def picture_below(site: Site, cabinet_id: str, opened: str) -> Picture | None:
    """Ask the devices of a cabinet, those of its doors first. `opened` is the local time as the
    document writes times. A device that cannot be asked has no picture.
    """
    [cabinet] = [each for each in site.cabinets if each.id == cabinet_id]
    sources = [*cabinet.sources.get("doors", ()), *(s for g in cabinet.sources.values() for s in g)]
    for name in dict.fromkeys(map(device_of, sources)):
        device = site.devices.get(name)
        if not ICamera.providedBy(device):
            continue
        try:
            picture: Picture | None = await device.picture(opened)
        except NotTold as error:
            _log.info("{name}: no picture: {error}", name=name, error=str(error))
            continue
        if picture is not None:
            return picture
    return None


def as_file(picture: Picture) -> tuple[Found, str]:
    """Return a picture as an open file in memory, and its MD5 in hex."""
    descriptor = os.memfd_create(picture.name, os.MFD_CLOEXEC)
    try:
        rest = memoryview(picture.content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BaseException:
        os.close(descriptor)
        raise
    status = os.fstat(descriptor)
    found = Found(descriptor, picture.name, status.st_size, status.st_mtime_ns)
    return found, digest(picture.content)
