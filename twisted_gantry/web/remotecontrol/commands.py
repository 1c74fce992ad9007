"""What the platform commands, done once: first all of a request is checked, then it is done.

Source: the ETC document, sections 2.2 and 3.2; decisions: `docs/protocols/etc-gantry.md`, "Meaning"
and "Commands are dangerous".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from twisted.internet import defer
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from twisted_gantry.core.commands.door import Request
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import IPlatform, Subject
from twisted_gantry.core.lasting import lasting
from twisted_gantry.core.site import Cabinet, Site
from twisted_gantry.core.status import State
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.web.remotecontrol.battery import batteries_to_ask, battery_result
from twisted_gantry.web.remotecontrol.servers import Rule, Server, may_move
from twisted_gantry.web.remotecontrol.targets import cabinets_of, wishes_of
from twisted_gantry.web.remotecontrol.wish import CannotDo, Wish
from twisted_gantry.wire.etc.commands import (
    BatteryTestResult,
    Cmd,
    EtcControl,
    encode_control,
    server_url,
)
from twisted_gantry.wire.etc.envelope import (
    Answer,
    EtcCode,
    EtcRefused,
    Method,
    answer,
    decode_answer,
)

# Seconds until the platform is answered whatever becomes of it; a device has a little longer (a
# relay may hold the power off for 20 s), and who asks again then hears how it ended.
ANSWER_WITHIN = 25.0
# What the audit calls the one who is commanded, beside the devices.
TARGET = "gantry"

_WHY = {
    Outcome.FAILED: "执行失败",
    Outcome.REFUSED: "拒绝执行",
    Outcome.TIMEOUT: "超时,结果未知",
}


@dataclass(frozen=True)
class Ask:
    """One request for a control; `body` is its bytes, `who` asks as the audit shows it."""

    method: Method
    control: EtcControl
    body: bytes
    who: str

    @property
    def subject(self) -> Subject:
        """Whose reports it steers."""
        return Subject.CABINETS if self.method is Method.CABINET_CONTROL else Subject.COMPUTERS

    @property
    def is_query(self) -> bool:
        """Whether it changes nothing, so that it may be asked again and again."""
        command = self.control.command
        return (
            command is not None
            and command.cmd is Cmd.BATTERY_TEST_RESULT
            and self.control == EtcControl(command=command)
        )

    @property
    def id(self) -> str:
        """The same for the same bytes: what makes a body that comes twice one command."""
        return f"rc-{sha256(self.body).hexdigest()[:32]}"


@dataclass(frozen=True)
class Plan:
    """A request that was checked: `server` the URL to move to, what devices are told."""

    server: str | None
    wishes: Sequence[Wish]
    platform: IPlatform | None


class RemoteCommands:
    """Does what the platform asks. `platform` is the uplink that it may steer, if there is one.

    `now` returns Unix seconds; `replayed` is called when a body came that was done before, `fault`
    with what should not have happened.
    """

    def __init__(
        self,
        site: Site,
        platform: IPlatform | None,
        *,
        rule: Rule,
        allowed: Sequence[Server],
        clock: IReactorTime,
        now: Callable[[], float],
        replayed: Callable[[], None],
        fault: Callable[[Failure], None],
    ) -> None:
        self._site, self._platform = site, platform
        self._rule, self._allowed = rule, tuple(allowed)
        self._clock, self._now, self._replayed, self._fault = clock, now, replayed, fault
        self._zone = ZoneInfo(site.timezone)

    def check(self, ask: Ask) -> None:
        """See that the request names no cabinet that there is not. Raises EtcRefused (1002)."""
        command = ask.control.command
        if command is not None and command.cabinet_id is not None:
            self.check_cabinet(command.cabinet_id)

    def check_cabinet(self, cabinet_id: str) -> None:
        """See that there is such a cabinet. Raises EtcRefused (1002)."""
        if not any(each.id == cabinet_id for each in self._site.cabinets):
            raise EtcRefused(EtcCode.BAD_PARAMETERS, f"there is no cabinet {cabinet_id!r}")

    async def run(self, ask: Ask) -> Answer:
        """Do what is asked, or say what came of it before; in 25 s at most there is an answer.

        What was begun then goes on to its end, also when the client leaves. Fails with what the
        store fails with.
        """
        doing = lasting(self._run(ask))
        doing.addTimeout(ANSWER_WITHIN, self._clock)
        try:
            return await doing
        except defer.TimeoutError:
            return answer(EtcCode.CONTROL_FAILED, msg="执行超时,结果未知")

    async def _run(self, ask: Ask) -> Answer:
        if ask.is_query:
            return (await self._done(ask))[0]
        store = self._site.store
        entry = AuditEntry(
            ask.id, self._now(), ask.who, TARGET, ask.method.value, encode_control(ask.control)
        )
        known = await store.begin_command(entry)
        if known is not None:
            self._replayed()
            return _again(known, entry)
        given, result = await self._done(ask)
        await store.end_command(
            replace(
                entry,
                result=result.value,
                detail=given.msg or "",
                value=given.encode().decode(),
            )
        )
        return given

    async def _done(self, ask: Ask) -> tuple[Answer, Outcome]:
        """Plan and do it; returns the answer, and what the audit calls it."""
        try:
            plan = self._plan(ask)
        except CannotDo as error:
            return answer(EtcCode.CONTROL_FAILED, msg=error.msg), Outcome.REFUSED
        try:
            result = await self._do(ask, plan)
        except CannotDo as error:
            return answer(EtcCode.CONTROL_FAILED, msg=error.msg), Outcome.FAILED
        except Exception:
            # It may be half done: it has its answer, lest the same body be tried again.
            self._fault(Failure())
            return answer(EtcCode.UNKNOWN_EXCEPTION), Outcome.FAILED
        success = answer(EtcCode.SUCCESS)
        return Answer(success.code, success.msg, None, result), Outcome.DONE

    def _plan(self, ask: Ask) -> Plan:
        """Check all that can be checked before anything is done. Raises CannotDo."""
        control, platform = ask.control, self._platform
        steers = control.set_server or control.set_frequency or control.update_now
        if steers and platform is None:
            raise CannotDo("本站未配置上级平台")
        server = None
        if control.set_server is not None and platform is not None:
            current = platform.server(ask.subject)
            server = server_url(control.set_server, urlsplit(current).scheme)
            if not may_move(server, current, self._rule, self._allowed):
                raise CannotDo("不允许修改为该服务器地址")
        wishes: Sequence[Wish] = ()
        if control.command is not None:
            wishes = wishes_of(self._site, control.command)
            if (cabinet := self._asked(control)) is not None:
                batteries_to_ask(self._site, cabinet)
        return Plan(server, wishes, platform)

    async def _do(self, ask: Ask, plan: Plan) -> BatteryTestResult | None:
        """Do it in the order of the page. Raises CannotDo at the first thing that fails."""
        control, platform = ask.control, plan.platform
        if plan.server is not None and platform is not None:
            await platform.set_server(ask.subject, plan.server)
        if control.set_frequency is not None and platform is not None:
            await platform.set_period(ask.subject, float(control.set_frequency))
        await self._tell(ask, plan.wishes)
        if control.update_now and platform is not None:
            platform.report_now(ask.subject)
        cabinet = self._asked(control)
        return None if cabinet is None else await battery_result(self._site, cabinet, self._zone)

    async def _tell(self, ask: Ask, wishes: Sequence[Wish]) -> None:
        """Tell the devices, all at once. Raises CannotDo unless each of them did it."""
        running = [self._site.door.run(self._request(ask, wish)) for wish in wishes]
        gathered: Deferred[list[CommandResult]] = gatherResults(running, consumeErrors=True)
        try:
            results = await gathered
        except FirstError as error:
            error.subFailure.raiseException()
            raise
        failed = [
            (wish.target, result.result)
            for wish, result in zip(wishes, results, strict=True)
            if result.result is not Outcome.DONE
        ]
        if failed:
            name, outcome = failed[0]
            more = f"等{len(failed)}台" if len(failed) > 1 else ""
            raise CannotDo(f"{name}:{self._why(name, outcome)}{more}")

    def _request(self, ask: Ask, wish: Wish) -> Request:
        """Return a wish for the door; it is never confirmed, so that nothing dangerous is done."""
        return Request(
            target=wish.target,
            command=wish.command,
            args=dict(wish.args),
            who=ask.who,
            id=f"{ask.id}-{wish.target}",
        )

    def _why(self, name: str, outcome: Outcome) -> str:
        device = self._site.devices.get(name)
        offline = device is None or device.status.state is State.OFFLINE
        return "设备离线" if offline and outcome is not Outcome.REFUSED else _WHY[outcome]

    def _asked(self, control: EtcControl) -> Cabinet | None:
        """Return the cabinet whose battery test is asked for, if one is."""
        command = control.command
        if command is None or command.cmd is not Cmd.BATTERY_TEST_RESULT:
            return None
        [cabinet] = cabinets_of(self._site, command)
        return cabinet


def _again(known: AuditEntry, entry: AuditEntry) -> Answer:
    """Return the answer to a body that came before."""
    same = (known.target, known.command) == (entry.target, entry.command)
    if same and isinstance(known.value, str):
        return decode_answer(known.value.encode())
    return answer(EtcCode.CONTROL_FAILED, msg="正在执行或结果未知")
