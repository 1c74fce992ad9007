"""`gantryctl snmp-agent`: the site for net-snmp, as its `pass_persist` program or by traps."""

import shutil
import subprocess
import sys
import time
from functools import partial
from importlib.resources import files

import click

from twisted_gantry.ctl import snmp
from twisted_gantry.ctl.errors import Exit, Trouble, WrongUsage
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.session import Session, pass_session
from twisted_gantry.ctl.snmp.agent import Looking, serve
from twisted_gantry.ctl.snmp.snapshot import look
from twisted_gantry.ctl.snmp.traps import SILENCE_S, Follower, Objects, arguments
from twisted_gantry.ctl.snmp.tree import Oid

SNMPTRAP = "snmptrap"
PUBLIC = ("-v", "2c", "-c", "public")
"""The options of snmptrap without others."""
MIB = "TWISTED-GANTRY-MIB.txt"
_WITHIN = 10.0  # seconds for one trap


def _started() -> float:
    """Return when `snmpd`, the parent, started: sysUpTime counts from there."""
    import os

    import psutil  # imported here: no other command needs it

    try:
        return float(psutil.Process(os.getppid()).create_time())
    except psutil.Error:
        return time.time()


@click.command(cls=Command, short_help="The site for SNMP. · SNMP 代理")
@click.option(
    "--ups", default="", metavar="NAME", help="UPS of the standard OID. · 标准 OID 的 UPS"
)
@click.option("--traps", default="", metavar="HOST", help="Send traps to HOST instead. · 发送陷阱")
@click.option("--mib", is_flag=True, help="Print TWISTED-GANTRY-MIB. · 输出 MIB 文件")
@click.argument("options", nargs=-1, metavar="[-- OPTIONS]", type=click.UNPROCESSED)
@pass_session
def snmp_agent(session: Session, ups: str, traps: str, mib: bool, options: tuple[str, ...]) -> int:
    """Answer net-snmp's snmpd (pass_persist), or send a trap on each edge of an alarm.

    回答 net-snmp 的 snmpd（pass_persist）；或在告警产生与恢复时发送陷阱。

    \b
    In snmpd.conf · 写入 snmpd.conf：
      pass_persist .1.3.6.1.2.1.33 /usr/bin/gantryctl snmp-agent
      pass_persist .1.3.6.1.4.1.8072.9999.9999.3699 /usr/bin/gantryctl snmp-agent
    Traps, until Ctrl-C · 发送陷阱，按 Ctrl-C 结束：
      gantryctl snmp-agent --traps nms.example
      gantryctl snmp-agent --traps nms.example -- -v 3

    UPS-MIB (RFC 1628) shows the first UPS, or that of --ups; TWISTED-GANTRY-MIB all of them. The
    OPTIONS are those of snmptrap (-v 2c -c public); what they leave open is in snmp.conf.
    """
    if mib:
        click.echo(files(snmp.__name__).joinpath(MIB).read_text("utf-8"), nl=False)
        return Exit.FINE
    if options and not traps:
        raise WrongUsage(session.texts("usage-snmptrap"))
    asking = partial(look, session.api, time.time)
    if not traps:
        serve(sys.stdin, sys.stdout, Looking(asking, ups, time.time, _started()))
        return Exit.FINE
    if shutil.which(SNMPTRAP) is None:
        raise Trouble("no-snmptrap")
    events = partial(session.api.events, "/api/v1/stream", SILENCE_S)
    send = partial(_send, [SNMPTRAP, *(options or PUBLIC), traps])
    asking()  # a wrong URL or password is told at once
    Follower(asking, events, send, time.time).run(time.sleep)
    return Exit.FINE


def _send(command: list[str], trap: Oid, objects: Objects) -> None:
    """Run `snmptrap`. A failure is told, and the next trap is tried: the cause may pass."""
    try:
        done = subprocess.run(  # noqa: S603 - options of the person who starts it
            [*command, *arguments(trap, objects)],
            check=False,
            capture_output=True,
            text=True,
            timeout=_WITHIN,
        )
        said = done.stderr if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if said:
        click.echo(f"{SNMPTRAP}: {said.strip()[:500]}", err=True)
