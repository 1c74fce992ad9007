"""What twistd can start: the gantry, and its mirror."""

from twisted.application.service import ServiceMaker

gantry = ServiceMaker(
    "Gantry",
    "twisted_gantry.daemon.tap",
    "The monitoring daemon of an ETC toll gantry. 门架监控机守护进程",
    "gantry",
)
twin = ServiceMaker(
    "Gantry twin",
    "twisted_gantry.twin.tap",
    "The simulated site and platform that a gantry talks to. 门架仿真",
    "gantry-twin",
)
