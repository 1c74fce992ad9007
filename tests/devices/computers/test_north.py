"""A computer below us, from its upload to the platform: `monitor.do` in, `monitor.do` out."""

from typing import Any

from tests.uplinks.etc.test_uplink import Rig
from tests.wire.material import document
from twisted_gantry.core.interfaces import Subject
from twisted_gantry.devices.computers.uploaded import UploadedComputers
from twisted_gantry.wire.etc.envelope import Method
from twisted_gantry.wire.json import loads_text

SAMPLE: list[dict[str, Any]] = loads_text(document("etc-2.1.3"))["computerStatus"]


def test_the_platform_gets_the_computers_of_the_document() -> None:
    """The platform twin, which checks each field, takes a report with both computers."""
    rig = Rig()
    rig.start()
    computers = UploadedComputers(rig.bench.site, rig.clock, rig.clock.now)
    computers.startService()
    computers.take(SAMPLE, clock_good=True)
    rig.uplink.report_now(Subject.COMPUTERS)
    rig.clock.run(0.5)
    [report] = rig.taken(Method.COMPUTER_STATUS)
    rows = report["body"]["computerStatus"]
    assert [row["id"] for row in rows] == ["1", "2"]
    for row, given in zip(rows, SAMPLE, strict=True):
        same = given.keys() - {"cpuTemperature"}
        assert {key: row[key] for key in same} == {key: given[key] for key in same}
        assert row["cpuTemperature"] == "40.00"  # always with two decimals
    computers.stopService()
    rig.stop()
