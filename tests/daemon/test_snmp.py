"""A real `snmpd` with the agent behind it, walked by net-snmp's own tools; traps by `snmptrap`."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.utils import getProcessOutputAndValue

from tests.daemon.process import GANTRYCTL, TimedOut, until
from tests.daemon.rig import Rig, opened
from twisted_gantry.ctl.snmp import gantry_mib

MIBS = f"{Path(gantry_mib.__file__).parent}:{Path(__file__).parents[1] / 'ctl/snmp/mibs'}"
OURS = ".1.3.6.1.4.1.8072.9999.9999.3699"
UPS_MIB = ".1.3.6.1.2.1.33"
PROGRAMS = ("snmpd", "snmpwalk", "snmpget", "snmptable", "snmptrap")

pytestmark = pytest.mark.long


class Traps(DatagramProtocol):
    """Hears traps."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.heard.append(datagram)


def encoded(oid: str) -> bytes:
    """Return an identifier as a message has it (BER)."""
    first, second, *arcs = map(int, oid.strip(".").split("."))
    coded = bytearray([first * 40 + second])
    for arc in arcs:
        groups = [arc & 127]
        while arc := arc >> 7:
            groups.append(arc & 127 | 128)
        coded += bytes(reversed(groups))
    return bytes([6, len(coded)]) + coded


class SnmpRig(Rig):
    """A gantry with two UPSes, and an `snmpd` with the agent at both of its places."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor)
        self.place = f"127.0.0.1:{free_udp_port()}"
        tcp = self.twin.port("ups-tcp")
        devices = "".join(
            f'[[device]]\nname = "{name}"\nkind = "ups-card"\n'
            f'address = "tcp:127.0.0.1:{tcp}"\npoll = 0.3\n'
            for name in ("ups1", "ups2")
        )
        self.config.write_text(
            f'[gantry]\nid = "G000211001002110010"\n{devices}'
            f'[web]\nlisten = "tcp:{self.web}:interface=127.0.0.1"\n'
        )
        self.start()
        agent = f"{GANTRYCTL} --url http://127.0.0.1:{self.web} snmp-agent"
        mirror = "".join(f".{arc}" for arc in gantry_mib.mirror("ups2"))
        (folder / "snmpd.conf").write_text(
            f"agentaddress udp:{self.place}\n"
            "rocommunity public 127.0.0.1\n"
            f"pass_persist {UPS_MIB} {agent}\n"
            f"pass_persist {OURS} {agent}\n"
            "com2sec -Cn ups2 second 127.0.0.1 second\n"
            "group second v2c second\n"
            "view all included .1\n"
            "access second ups2 any noauth exact all none none\n"
            f"proxy -Cn ups2 -v 2c -c public {self.place} {UPS_MIB} {mirror}\n"
        )
        self.env = {**os.environ, "MIBDIRS": MIBS, "MIBS": "TWISTED-GANTRY-MIB"}
        self.env |= {"SNMP_PERSISTENT_DIR": str(folder / "snmp")}
        program = shutil.which("snmpd")
        assert program is not None
        with (folder / "snmpd.log").open("wb") as log:
            command = [program, "-f", "-Lo", "-C", "-c", str(folder / "snmpd.conf")]
            self.snmpd = subprocess.Popen(command, stdout=log, stderr=log, env=self.env)

    async def ask(self, program: str, *arguments: str, community: str = "public") -> str:
        """Run one of net-snmp's programs; returns its output."""
        found = shutil.which(program)
        assert found is not None, program
        common = ("-v", "2c", "-c", community, "-t", "10", "-r", "3", self.place)
        command = [*common, *arguments]
        done = getProcessOutputAndValue(found, command, self.env, reactor=self.reactor)
        out, err, _ = await done
        said: bytes = out + err
        return said.decode()

    async def close(self) -> None:
        self.snmpd.terminate()
        self.snmpd.wait(10)
        await super().close()


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SnmpRig]:
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: snmp, snmpd)")
    with opened(SnmpRig, tmp_path) as made:
        yield made


async def test_a_site_is_walked_and_tells_its_alarms(rig: SnmpRig) -> None:
    """UPS-MIB of each UPS, our tables, traps on both edges, and answers without a gantry."""
    await rig.online("ups1", "ups2")
    walk = await rig.ask("snmpwalk", "-On", UPS_MIB)
    assert f'{UPS_MIB}.1.1.2.0 = STRING: "C10KS"' in walk
    assert f"{UPS_MIB}.1.3.3.1.3.1 = INTEGER: 220" in walk
    assert f'{UPS_MIB}.1.1.5.0 = STRING: "ups1"' in walk
    second = await rig.ask("snmpget", "-On", f"{UPS_MIB}.1.1.5.0", community="second")
    assert second == f'{UPS_MIB}.1.1.5.0 = STRING: "ups2"\n'
    devices = await rig.ask("snmptable", "-Ci", "TWISTED-GANTRY-MIB::gantryDeviceTable")
    assert [line.split()[:3] for line in devices.splitlines()[3:]] == [
        *(["'ups1'", "ups-card", "online"], ["'ups2'", "ups-card", "online"])
    ]
    volts = "TWISTED-GANTRY-MIB::gantryPointValue.'ups1.input_voltage_r'"
    told = await rig.ask("snmpget", volts)
    assert abs(float(told.rpartition(" ")[2]) - 220) < 1, told
    everything = await rig.ask("snmpwalk", "-On", OURS)
    assert everything.count("\n") > 400
    await traps_are_sent(rig)
    assert rig.daemon is not None
    rig.daemon.kill()
    again = await rig.ask("snmpwalk", "-On", UPS_MIB)  # what was last known, for some seconds
    assert (again.count("\n"), "Timeout" in again) == (walk.count("\n"), False)


async def traps_are_sent(rig: SnmpRig) -> None:
    """Both edges of an alarm come as our notifications and as those of RFC 1628."""
    traps = Traps()
    port = rig.reactor.listenUDP(0, traps, interface="127.0.0.1")
    to = f"127.0.0.1:{port.getHost().port}"
    command = [GANTRYCTL, "--url", f"http://127.0.0.1:{rig.web}", "snmp-agent", "--traps", to]
    sender = subprocess.Popen(command, env=rig.env)

    async def came(trap: str, what: bytes) -> None:
        wanted = encoded("1.3.6.1.6.3.1.1.4.1.0") + encoded(trap)

        def has() -> bool:
            return any(wanted in each and what in each for each in traps.heard)

        await until(rig.reactor, f"{trap} {what!r}", has, 15)

    try:
        rig.twin.world.change({"mains.voltage": 0})
        await came(f"{OURS}.0.1", b"ups1.mains-abnormal")
        await came(f"{OURS}.0.1", "市电异常".encode())
        await came(f"{UPS_MIB}.2.3", encoded(f"{UPS_MIB}.1.6.3.6"))
        await came(f"{UPS_MIB}.2.1", b"ups2")
        rig.twin.world.change({"mains.voltage": 220})
        await came(f"{OURS}.0.2", b"ups2.mains-abnormal")
        await came(f"{UPS_MIB}.2.4", encoded(f"{UPS_MIB}.1.6.3.2"))
    except TimedOut as error:
        raise AssertionError(f"{error}; {len(traps.heard)} traps came") from None
    finally:
        sender.terminate()
        sender.wait(10)
        await port.stopListening()
