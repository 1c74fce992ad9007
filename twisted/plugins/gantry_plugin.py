"""What twistd can start: the gantry, its mirror, and the platform for many gantries."""

from twisted.application.service import ServiceMaker

gantry = ServiceMaker(
    "Gantry",
    "twisted_gantry.daemon.tap",
    "The monitoring daemon of an ETC toll gantry. 门架监控机守护进程",
    "gantry",
)
centre = ServiceMaker(
    "Gantry centre",
    "twisted_gantry.centre.tap",
    "The platform for the toll gantries of a province. 路网中心平台",
    "gantry-centre",
)
twin = ServiceMaker(
    "Gantry twin",
    "twisted_gantry.twin.tap",
    "The simulated site and platform that a gantry talks to. 门架仿真",
    "gantry-twin",
)
