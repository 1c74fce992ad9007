"""What a worker does at gantries: it sends commands, and asks for pictures of opened doors."""

from collections.abc import Callable
from datetime import tzinfo

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.centre.control.channels import Channels
from twisted_gantry.centre.control.pictures import Pictures
from twisted_gantry.centre.interfaces import IReportStore
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.centre.workers.commands import CommandSender
from twisted_gantry.centre.workers.lease import Duty
from twisted_gantry.centre.workers.pictures import PERIOD, OpenedDoors
from twisted_gantry.net.service import ServiceGroup

PICTURES = "pictures"
"""The duty that one worker of all has; every worker sends commands."""


class GantryWork(ServiceGroup):
    """Both services. `holder` names this process and start, `zone` is that of the gantries, `now`
    returns Unix seconds.
    """

    def __init__(
        self,
        holder: str,
        store: IReportStore,
        sealing: Sealing,
        channels: Channels,
        clock: IReactorTime,
        zone: tzinfo,
        now: Callable[[], float],
    ) -> None:
        super().__init__()
        self.sender = CommandSender(store, sealing, channels, clock, holder)
        doors = OpenedDoors(Pictures(store, sealing, channels, zone, now), sealing, zone)
        self.duty = Duty(PICTURES, holder, store, clock, doors.act, PERIOD, ended=doors.ended)
        self.add(self.sender)
        self.add(self.duty)
