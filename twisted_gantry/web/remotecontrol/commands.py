"""Commands of the platform: a request is checked whole, then executed, once.

Source: the ETC document, sections 2.2 and 3.2; decisions: `docs/protocols/etc-gantry.md`, "Meaning"
and "Commands are dangerous".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from urllib.parse import urlsplit

from attrs import define
from twisted.internet import defer
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from twisted_gantry.core.commands.door import Request
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import IPlatform, StoreFailed, Subject
from twisted_gantry.core.lasting import lasting
from twisted_gantry.core.site import Cabinet, Site
from twisted_gantry.core.status import State
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.web.remotecontrol.battery import batteries_to_ask, battery_result
from twisted_gantry.web.remotecontrol.servers import ServerPolicy
from twisted_gantry.web.remotecontrol.targets import cabinets_of, wishes_of
from twisted_gantry.web.remotecontrol.wish import CannotDo, Wish
from twisted_gantry.wire.etc import commands as etc
from twisted_gantry.wire.etc.answers import decode_answer
from twisted_gantry.wire.etc.commands import BatteryTestResult, Cmd, EtcControl
from twisted_gantry.wire.etc.envelope import (
    Answer,
    EtcCode,
    EtcRefused,
    Method,
    answer,
    same_id,
)

ANSWER_WITHIN = 25.0
"""Seconds until the platform is answered; a device may take longer, and the same request again
then tells the outcome."""
LATE = "已过期，未执行"
"""The reason of a request that was not begun in time: nothing is done after the answer."""
TARGET = "gantry"
"""The target of a request in the audit; what the devices are told has entries of its own."""

_WHY = {Outcome.FAILED: "执行失败", Outcome.REFUSED: "拒绝执行", Outcome.TIMEOUT: "超时，结果未知"}


@dataclass(frozen=True)
class Steered:
    """What the platform of a request may steer: its uplink, if there is one, and where the reports
    of that may go. `name` tells the uplinks apart, where several platforms may command.
    """

    platform: IPlatform | None
    servers: ServerPolicy
    name: str = ""


@dataclass(frozen=True)
class Ask:
    """A request for a control; `body` is its bytes, `who` its source as the audit shows it, `asked`
    the moment on the clock from which its time counts.
    """

    method: Method
    control: EtcControl
    body: bytes
    who: str
    asked: float
    steered: Steered

    @property
    def subject(self) -> Subject:
        """The reports that it steers."""
        return Subject.CABINETS if self.method is Method.CABINET_CONTROL else Subject.COMPUTERS

    @property
    def is_query(self) -> bool:
        """Whether the request changes nothing, and so may be repeated."""
        command = self.control.command
        return (
            command is not None
            and command.cmd is Cmd.BATTERY_TEST_RESULT
            and self.control == EtcControl(command=command)
        )

    @property
    def id(self) -> str:
        """The same for the same body of a platform, so that a repeated body is one command."""
        return f"rc-{sha256(self.steered.name.encode() + self.body).hexdigest()[:32]}"


@dataclass(frozen=True)
class Plan:
    """A checked request: the URL to move reports to, and the commands of the devices."""

    server: str | None
    wishes: Sequence[Wish]
    platform: IPlatform | None


@define(eq=False)
class RemoteCommands:
    """Executes requests. `now` returns Unix seconds, `skew` is the accepted difference of a
    `timeStamp`; `replayed` is called when a body comes again, `fault` with errors of ours.
    """

    _site: Site
    _clock: IReactorTime
    _now: Callable[[], float]
    _skew: float
    _replayed: Callable[[], None]
    _fault: Callable[[Failure], None]

    def check(self, ask: Ask) -> None:
        """Raise EtcRefused (1002) for a request that names an unknown cabinet."""
        command = ask.control.command
        if command is not None and command.cabinet_id is not None:
            self.check_cabinet(command.cabinet_id)

    def check_cabinet(self, cabinet_id: str) -> None:
        if not any(same_id(each.id) == cabinet_id for each in self._site.cabinets):
            raise EtcRefused(EtcCode.BAD_PARAMETERS, f"there is no cabinet {cabinet_id!r}")

    async def run(self, ask: Ask) -> Answer:
        """Execute a request, or return the answer of its first time, in 25 s at most. The execution
        goes on after that, and after the client has left. Fails with the errors of the store.
        """
        doing = lasting(self._run(ask))
        doing.addTimeout(ANSWER_WITHIN, self._clock)
        try:
            return await doing
        except defer.TimeoutError:
            return answer(EtcCode.CONTROL_FAILED, msg="执行超时，结果未知")

    async def _run(self, ask: Ask) -> Answer:
        if ask.is_query:
            return (await self._done(ask))[0]
        store = self._site.store
        # The same body may come again for as long as its `timeStamp` is accepted.
        now, args = self._now(), etc.encode_control(ask.control)
        until = now + 2 * self._skew
        entry = AuditEntry(ask.id, now, ask.who, TARGET, ask.method.value, args, kept_until=until)
        try:
            known = await store.begin_command(entry)
        except StoreFailed as error:  # the disk hangs: nothing is done
            return answer(EtcCode.CONTROL_FAILED, msg=f"{error.zh}，未执行")
        if known is not None:
            self._replayed()
            return _again(known, entry)
        if self._is_late(ask):  # the disk took its time
            given, result = answer(EtcCode.CONTROL_FAILED, msg=LATE), Outcome.TIMEOUT
        else:
            given, result = await self._done(ask)
        await store.end_command(
            replace(
                entry, result=result.value, detail=given.msg or "", value=given.encode().decode()
            )
        )
        return given

    def _is_late(self, ask: Ask) -> bool:
        return self._clock.seconds() >= ask.asked + ANSWER_WITHIN

    async def _done(self, ask: Ask) -> tuple[Answer, Outcome]:
        """Plan and execute; returns the answer and the outcome for the audit."""
        try:
            plan = self._plan(ask)
        except CannotDo as error:
            return answer(EtcCode.CONTROL_FAILED, msg=error.msg), Outcome.REFUSED
        try:
            result = await self._do(ask, plan)
        except CannotDo as error:
            return answer(EtcCode.CONTROL_FAILED, msg=error.msg), Outcome.FAILED
        except Exception:
            # It may be half done: the stored answer keeps the same body from another try.
            self._fault(Failure())
            return answer(EtcCode.UNKNOWN_EXCEPTION), Outcome.FAILED
        success = answer(EtcCode.SUCCESS)
        return Answer(success.code, success.msg, None, result), Outcome.DONE

    def _plan(self, ask: Ask) -> Plan:
        """Check all that can be checked before. Raises CannotDo."""
        control, platform = ask.control, ask.steered.platform
        steers = control.set_server or control.set_frequency or control.update_now
        if steers and platform is None:
            raise CannotDo("本站未配置上级平台")
        server = None
        if control.set_server is not None and platform is not None:
            current = platform.server(ask.subject)
            server = etc.server_url(control.set_server, urlsplit(current).scheme)
            if not ask.steered.servers.allows(server):
                raise CannotDo("不允许修改为该服务器地址")
        wishes: Sequence[Wish] = ()
        if control.command is not None:
            wishes = wishes_of(self._site, control.command)
            if (cabinet := self._asked(control)) is not None:
                batteries_to_ask(self._site, cabinet)
        return Plan(server, wishes, platform)

    async def _do(self, ask: Ask, plan: Plan) -> BatteryTestResult | None:
        """Execute in the document's order. Raises CannotDo at the first failure."""
        control, platform = ask.control, plan.platform
        if plan.server is not None and platform is not None:
            await platform.set_server(ask.subject, plan.server)
        if control.set_frequency is not None and platform is not None:
            self._check_in_time(ask)
            await platform.set_period(ask.subject, float(control.set_frequency))
        await self._tell(ask, plan.wishes)
        if control.update_now and platform is not None:
            platform.report_now(ask.subject)
        cabinet = self._asked(control)
        return None if cabinet is None else await battery_result(self._site, cabinet)

    def _check_in_time(self, ask: Ask) -> None:
        if self._is_late(ask):
            raise CannotDo(LATE)

    async def _tell(self, ask: Ask, wishes: Sequence[Wish]) -> None:
        """Execute on all devices at once. Raises CannotDo unless each of them succeeds."""
        requests = [
            Request(
                wish.target,
                wish.command,
                dict(wish.args),
                ask.who,
                f"{ask.id}-{wish.target}",
                platform=True,
                asked=ask.asked,
                sent_within=ANSWER_WITHIN,
            )
            for wish in wishes
        ]
        running = [self._site.door.run(each) for each in requests]
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
            raise CannotDo(f"{name}：{self._why(name, outcome)}{more}")

    def _why(self, name: str, outcome: Outcome) -> str:
        device = self._site.devices.get(name)
        offline = device is None or device.status.state is State.OFFLINE
        return "设备离线" if offline and outcome is not Outcome.REFUSED else _WHY[outcome]

    def _asked(self, control: EtcControl) -> Cabinet | None:
        """Return the cabinet whose battery test result is asked for, if any."""
        command = control.command
        if command is None or command.cmd is not Cmd.BATTERY_TEST_RESULT:
            return None
        [cabinet] = cabinets_of(self._site, command)
        return cabinet


def _again(known: AuditEntry, entry: AuditEntry) -> Answer:
    same = (known.target, known.command) == (entry.target, entry.command)
    if same and isinstance(known.value, str):
        return decode_answer(known.value.encode())
    return answer(EtcCode.CONTROL_FAILED, msg="正在执行或结果未知")
