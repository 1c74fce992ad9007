"""The command door: what it lets through, in which order, and how each command ends once."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.store.material import LateWriter, database
from tests.support import moments
from twisted_gantry.core.alarms import Rule
from twisted_gantry.core.commands.door import (
    EXPIRY,
    LONGEST_EXPIRY,
    MAX_WAITING,
    CommandDoor,
    Request,
)
from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.net.expiry import expires
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter, Writer

SECRET = "hunter2-secret"
COMMANDS = {
    "BZOFF": CommandType({}, "buzzer off", "关闭蜂鸣器"),
    "SOFF": CommandType({}, "output off", "关闭输出", danger="darkens the gantry"),
    "SON": CommandType(
        {},
        "output on",
        "打开输出",
        danger="loads the output",
        danger_zh="给输出送电",
        endangers=Endangers.POWER,
    ),
    "locked": CommandType({}, "locked", "已锁定", locked="needs allow_it = true"),
    "set": CommandType(
        {
            "text": Argument(longest=5),
            "count": Argument(int, required=False),
            "level": Argument(float, required=False),
            "side": Argument(required=False, choices=("1", "2")),
            "on": Argument(bool, required=False),
        },
        "set",
        "设置",
    ),
    "set-password": CommandType({"new": Argument(secret=True)}, "set the password", "设置密码"),
}
DONE = CommandResult(Outcome.DONE, "as told", 7)


@implementer(IDevice)
class Device(Service):
    """A device that notes in `log` what it is told, and ends it when the test says so."""

    kind = "fake"
    rules: Sequence[Rule] = ()
    details: Mapping[str, Any] = {}
    commands: Mapping[str, CommandType] = COMMANDS

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log = name, log
        self.status = Status(name, lambda: 0.0)
        self.running_ones: list[Deferred[CommandResult]] = []
        self.answer: Callable[[], Deferred[CommandResult]] = self._later

    def _later(self) -> Deferred[CommandResult]:
        deferred: Deferred[CommandResult] = Deferred(lambda _: self._log.append("cancelled"))
        self.running_ones.append(deferred)
        return deferred

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        """Note the command, and answer."""
        self._log.append(
            f"{self.name} {command} {dict(args)}" if args else f"{self.name} {command}"
        )
        return self.answer()

    def end(self, result: CommandResult = DONE) -> None:
        """End the oldest command that is running."""
        self.running_ones.pop(0).callback(result)


class NotedStore(SqliteStore):
    """A store that notes in `log` what of the audit it is told, and fails when the test wants."""

    def __init__(
        self, log: list[str], now: Callable[[], float], writer: Writer | None = None
    ) -> None:
        super().__init__(writer or InlineWriter(database()), moments(now))
        self.log, self.broken = log, set[str]()

    def begin_command(self, entry: AuditEntry) -> Deferred[AuditEntry | None]:
        """Keep the beginning of a command."""
        self.log.append(f"begin {entry.id}")
        if "begin" in self.broken:
            return fail(OSError("the disk fails"))
        return super().begin_command(entry)

    def end_command(self, entry: AuditEntry) -> Deferred[None]:
        """Keep the end of a command."""
        self.log.append(f"end {entry.id} {entry.result}")
        if "end" in self.broken:
            return fail(OSError("the disk fails"))
        return super().end_command(entry)


class Hall:
    """The door with two devices; `log` is one ordered list of all that happened."""

    def __init__(self, late: float = 0.0) -> None:
        self.clock = Clock()
        self.log: list[str] = []
        self.writer = LateWriter(database(), self.clock, late) if late else None
        self.store = NotedStore(self.log, self.clock.seconds, self.writer)
        self.broken = self.store.broken
        self.ups1, self.ups2 = Device("ups1", self.log), Device("ups2", self.log)
        self.devices: dict[str, IDevice] = {"ups1": self.ups1, "ups2": self.ups2}
        self.door = self.new_door()
        self.asked = 0

    def new_door(self) -> CommandDoor:
        """Return another door to the same devices and store, as after a restart."""
        return CommandDoor(self.devices, self.store, self.clock, self.clock.seconds, lambda: "new")

    def ask(
        self,
        command: str = "BZOFF",
        target: str = "ups1",
        args: Mapping[str, Any] | None = None,
        door: CommandDoor | None = None,
        **more: Any,
    ) -> list[CommandResult | Failure]:
        """Ask for a command; returns a list that gains how it ended."""
        self.asked += 1
        more.setdefault("id", f"c{self.asked}")
        results: list[CommandResult | Failure] = []
        running = ensureDeferred(
            (door or self.door).run(
                Request(target, command, args or {}, "web from 10.0.0.9", **more)
            )
        )
        running.addBoth(results.append)
        return results

    @property
    def audit(self) -> list[AuditEntry]:
        """The audit, oldest first."""
        entries: list[AuditEntry] = []
        self.store.audit(100).addCallback(entries.extend)
        return entries[::-1]

    @property
    def executed(self) -> list[str]:
        """What the devices were told, in order."""
        return [each for each in self.log if each.startswith("ups")]


@pytest.fixture
def hall() -> Hall:
    return Hall()


def only(results: list[CommandResult | Failure]) -> CommandResult:
    """Return the one outcome of a command."""
    [result] = results
    assert isinstance(result, CommandResult), result
    return result


def refusal(results: list[CommandResult | Failure]) -> str:
    """Return why a command was refused."""
    result = only(results)
    assert result.result is Outcome.REFUSED
    return result.detail


# -- one command


def test_a_command_is_executed_and_audited(hall: Hall) -> None:
    """A command is in the audit before the device is told, and again when it has ended."""
    hall.clock.advance(50)
    results = hall.ask()
    assert hall.log == ["begin c1", "ups1 BZOFF"]
    [entry] = hall.audit
    assert entry == AuditEntry("c1", 50.0, "web from 10.0.0.9", "ups1", "BZOFF", {})
    assert results == []
    hall.clock.advance(1)
    hall.ups1.end()
    assert only(results) == DONE
    assert hall.log == ["begin c1", "ups1 BZOFF", "end c1 done"]
    [entry] = hall.audit
    assert (entry.at, entry.result, entry.detail, entry.value) == (50.0, "done", "as told", 7)
    assert hall.clock.getDelayedCalls() == []


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_a_device_says_is_the_outcome(hall: Hall, outcome: Outcome) -> None:
    """Each outcome that a driver can return is what is answered, audited and counted."""
    results = hall.ask()
    hall.ups1.end(CommandResult(outcome, "because", "(ACK"))
    assert only(results) == CommandResult(outcome, "because", "(ACK")
    assert hall.audit[0].result == outcome.value
    assert hall.door.counts == {each: int(each is outcome) for each in Outcome}


def test_a_device_is_found_by_what_it_can(hall: Hall) -> None:
    """Devices are found by the command, among all or among those named."""
    hall.ups2.commands = {"T": CommandType({}, "test", "测试")}
    assert hall.door.able("BZOFF") == ["ups1"]
    assert hall.door.able("T", ["nobody", "ups2", "ups1"]) == ["ups2"]
    assert hall.door.able("nothing") == []


# -- what is refused


def test_an_unknown_device_is_refused(hall: Hall) -> None:
    """A command for a device that is not there is refused by name, and audited."""
    assert "'ups9'" in refusal(hall.ask(target="ups9"))
    assert [(each.target, each.result) for each in hall.audit] == [("ups9", "refused")]


def test_an_unknown_command_is_refused_with_what_there_is(hall: Hall) -> None:
    """A command that the device cannot do is refused, and its commands are told."""
    detail = refusal(hall.ask("explode"))
    assert "'explode'" in detail
    assert "BZOFF, SOFF, SON, locked, set, set-password" in detail
    assert hall.executed == []


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({}, "'text' is missing"),
        ({"text": None}, "'text' is missing"),
        ({"text": "a", "more": 1}, "unknown argument 'more'"),
        ({"text": True}, "'text' must be of the type str"),
        ({"text": 1e300}, "'text' must be of the type str"),
        ({"text": "a", "side": "up"}, "'side' must be one of 1, 2"),
        ({"text": "a", "side": 3}, "'side' must be one of 1, 2"),
        ({"text": ["a"]}, "'text' must be of the type str"),
        ({"text": ""}, "'text' has 1 to 5 characters"),
        ({"text": "123456"}, "'text' has 1 to 5 characters"),
        ({"text": "a", "count": "1a"}, "'count' must be of the type int"),
        ({"text": "a", "count": 1.5}, "'count' must be of the type int"),
        ({"text": "a", "count": True}, "'count' must be of the type int"),
        ({"text": "a", "level": True}, "'level' must be of the type float"),
        ({"text": "a", "on": 2}, "'on' must be of the type bool"),
    ],
)
def test_wrong_arguments_are_refused(hall: Hall, args: dict[str, Any], text: str) -> None:
    """An argument that is missing, unknown, of another type or too long never reaches a device."""
    assert text in refusal(hall.ask("set", args=args))
    assert hall.executed == []
    assert hall.audit[0].result == "refused"


@pytest.mark.parametrize(
    "args",
    [
        {"text": "12345"},
        {"text": "a", "count": 0},
        {"text": "a", "level": 1.5},
        {"text": "a", "level": 2},
        {"text": "a", "side": "2"},
        {"text": "a", "on": False},
        {"text": "a", "count": None},
    ],
)
def test_right_arguments_reach_the_device(hall: Hall, args: dict[str, Any]) -> None:
    """Arguments of the right type, the optional ones left out or not, are what the device gets."""
    hall.ask("set", args=args)
    assert hall.executed == [f"ups1 set {args}"]
    hall.ups1.end()


def test_a_number_and_its_text_are_one(hall: Hall) -> None:
    """The protocols have all values as text; a device gets the type that it asked for."""
    hall.ask("set", args={"text": 5, "count": "-12", "level": "1.5", "side": 2, "on": "1"})
    assert hall.executed == [
        "ups1 set {'text': '5', 'count': -12, 'level': 1.5, 'side': '2', 'on': True}"
    ]
    hall.ups1.end()


def test_a_locked_command_is_refused_with_the_key(hall: Hall) -> None:
    """A command that the configuration locks is refused, confirmed or not, and says why."""
    assert "needs allow_it = true" in refusal(hall.ask("locked", confirmed=True))
    assert hall.executed == []


def test_a_dangerous_command_needs_a_confirmation(hall: Hall) -> None:
    """What may harm is refused with what it does, unless somebody confirmed it."""
    assert "darkens the gantry" in refusal(hall.ask("SOFF"))
    assert hall.executed == []
    hall.ask("SOFF", confirmed=True)
    assert hall.executed == ["ups1 SOFF"]
    hall.ups1.end()


def test_the_platform_is_not_asked_and_may_not_all(hall: Hall) -> None:
    """The platform needs no confirmation, and a confirmation opens nothing to it."""
    for confirmed in (False, True):
        refused = refusal(hall.ask("SOFF", platform=True, confirmed=confirmed))
        assert refused == "SOFF darkens the gantry: it is refused to the platform"
    assert hall.executed == []
    hall.ask("SON", platform=True)
    assert hall.executed == ["ups1 SON"]
    hall.ups1.end()


@pytest.mark.parametrize(
    ("command", "more", "asks"),
    [
        ("SON", {}, True),
        ("SON", {"confirmed": True}, False),
        ("SON", {"platform": True}, False),
        ("SON", {"args": {"x": 1}}, False),
        ("BZOFF", {}, False),
        ("locked", {}, False),
        ("explode", {}, False),
    ],
)
def test_a_question_is_all_that_a_command_lacks(
    hall: Hall, command: str, more: dict[str, Any], asks: bool
) -> None:
    """What the device would refuse anyway is refused, and not asked about."""
    request = Request("ups1", command, more.pop("args", {}), "web", "c1", **more)
    assert (hall.door.question(request) is not None) is asks


def test_a_type_says_what_follows_from_it() -> None:
    """What endangers says how, in both languages; a danger of old is one for people alone."""
    with pytest.raises(ValueError, match="does not say how"):
        CommandType({}, "off", "关", endangers=Endangers.POWER, danger="darkens")
    old = CommandType({}, "off", "关", danger="darkens")
    assert (old.endangers, old.local_only, old.asks) == (Endangers.DEVICE, True, True)
    assert not CommandType({}, "look", "看").asks


@pytest.mark.parametrize("expiry", [0.0, -1.0, LONGEST_EXPIRY + 1, float("nan"), float("inf")])
def test_an_odd_expiry_is_refused(hall: Hall, expiry: float) -> None:
    """A command must end in a time that is over 0 and within the bound."""
    assert "expiry" in refusal(hall.ask(expiry=expiry))
    assert hall.executed == []


# -- secrets


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("set-password", {"new": SECRET}),
        ("set-password", {"new": SECRET * 50}),
        ("set-password", {"new": [SECRET]}),
        ("set-password", {"new": "x", "old": SECRET}),
        ("no-such-command", {"password": SECRET}),
        ("BZOFF", {"password": SECRET}),
    ],
)
@pytest.mark.parametrize("target", ["ups1", "ups9"])
def test_a_secret_is_in_no_audit_answer_or_log(
    hall: Hall, command: str, args: dict[str, Any], target: str
) -> None:
    """A secret or unknown argument is masked wherever a command is shown."""
    seen: list[str] = []

    @implementer(ILogObserver)
    def note(event: LogEvent) -> None:
        seen.append(eventAsText(event))

    globalLogPublisher.addObserver(note)
    try:
        results = hall.ask(command, target, args)
        if hall.ups1.running_ones:
            hall.ups1.end()
    finally:
        globalLogPublisher.removeObserver(note)
    assert seen
    [entry] = hall.audit
    assert set(entry.args.values()) <= {"***", "x"}
    assert SECRET not in f"{entry} {only(results)} {seen}"


def test_what_is_no_secret_is_shown(hall: Hall) -> None:
    """The audit has the arguments of a command as they were given."""
    hall.ask("set", args={"text": "门", "count": 3})
    hall.ups1.end()
    assert hall.audit[0].args == {"text": "门", "count": 3}


def test_the_audit_keeps_no_more_than_fits(hall: Hall) -> None:
    """Very many or very long arguments are cut in the audit: anybody may send them."""
    hall.ask("set", args={"text": "x" * 1_000_000})
    hall.ask("set", args={"k" * 5000 + str(n): n for n in range(500)})
    for entry in hall.audit:
        assert len(str(entry.args)) < 5000


# -- one at a time


def test_a_device_does_one_command_at_a_time(hall: Hall) -> None:
    """The next command is told to the device when the one before has ended, in the order asked."""
    results = [hall.ask("set", args={"text": str(n)}) for n in range(3)]
    assert hall.executed == ["ups1 set {'text': '0'}"]
    for n in range(3):
        hall.ups1.end(CommandResult(Outcome.DONE, str(n)))
        assert [len(each) for each in results] == [1] * (n + 1) + [0] * (2 - n)
    assert hall.executed == [f"ups1 set {{'text': '{n}'}}" for n in range(3)]
    assert [only(each).detail for each in results] == ["0", "1", "2"]
    assert hall.clock.getDelayedCalls() == []


def test_devices_do_not_wait_for_each_other(hall: Hall) -> None:
    """A slow device does not delay the commands of another."""
    first, other = hall.ask(), hall.ask(target="ups2")
    assert hall.executed == ["ups1 BZOFF", "ups2 BZOFF"]
    hall.ups2.end()
    assert only(other) == DONE
    assert first == []
    hall.ups1.end()


def test_what_waits_is_bounded(hall: Hall) -> None:
    """Beside the running one so many commands wait; the next is refused at once, and audited."""
    hall.ask()
    waiting = [hall.ask() for _ in range(MAX_WAITING)]
    assert f"{MAX_WAITING} commands wait" in refusal(hall.ask())
    assert hall.audit[-1].result == "refused"
    only(hall.ask("explode", target="ups2"))
    hall.ups1.end()
    assert hall.ask() == []  # there is room again
    for _ in range(MAX_WAITING + 1):
        hall.ups1.end()
    assert all(only(each) == DONE for each in waiting)


def test_a_driver_that_answers_at_once_holds_up_nothing(hall: Hall) -> None:
    """An answer that comes at once is the result of its own command."""
    hall.ups1.answer = lambda: succeed(DONE)
    assert only(hall.ask()) == DONE
    hall.ups1.answer = hall.ups1._later
    waiting = [hall.ask() for _ in range(4)]
    hall.ups1.answer = lambda: succeed(DONE)
    hall.ups1.end()
    assert [only(each) for each in waiting] == [DONE] * 4
    assert len(hall.executed) == 5


# -- time


def test_a_driver_that_never_answers_is_a_timeout(hall: Hall) -> None:
    """A command without an answer is cancelled at its expiry; its outcome is unknown."""
    results = hall.ask(expiry=10.0)
    hall.clock.advance(9.9)
    assert results == []
    hall.clock.advance(0.2)
    assert only(results).result is Outcome.TIMEOUT
    assert "10.0 s" in only(results).detail
    assert "cancelled" in hall.log
    assert hall.audit[0].result == "timeout"
    again = hall.ask()
    hall.ups1.running_ones.pop(0)  # the one that was cancelled
    hall.ups1.end()
    assert only(again) == DONE


def test_without_a_wish_the_expiry_is_the_usual_one(hall: Hall) -> None:
    """A command that says nothing of time has the time that is usual."""
    results = hall.ask()
    hall.clock.advance(EXPIRY - 0.1)
    assert results == []
    hall.clock.advance(0.1)
    assert only(results).result is Outcome.TIMEOUT


def test_waiting_counts(hall: Hall) -> None:
    """The expiry counts from the wish: what waited has only the rest of it to be done."""
    hall.ask(expiry=8.0)
    results = hall.ask(expiry=10.0)
    hall.clock.advance(8)
    assert hall.executed == ["ups1 BZOFF"] * 2
    hall.clock.advance(1.9)
    assert results == []
    hall.clock.advance(0.1)
    assert only(results).result is Outcome.TIMEOUT


def test_what_expires_before_its_turn_is_never_executed(hall: Hall) -> None:
    """A command whose time is over while it waits ends then, and the device is never told."""
    first = hall.ask(expiry=100.0)
    results = hall.ask("set", args={"text": "late"}, expiry=5.0)
    after = hall.ask("set", args={"text": "after"}, expiry=100.0)
    hall.clock.advance(5)
    assert only(results).result is Outcome.TIMEOUT
    assert "not sent" in only(results).detail
    assert first == []
    hall.ups1.end()
    hall.ups1.end()
    assert hall.executed == ["ups1 BZOFF", "ups1 set {'text': 'after'}"]
    assert only(after) == DONE
    assert [each.result for each in hall.audit] == ["done", "timeout", "done"]


@pytest.mark.parametrize("expiry", [5.0, EXPIRY])
def test_a_store_that_takes_its_time_makes_nothing_late(expiry: float) -> None:
    """The expiry counts from the asking: a disk that answers after 75 s has nothing done."""
    hall = Hall(late=75.0)
    results = hall.ask(expiry=expiry)
    hall.clock.pump([1.0] * 150)
    assert only(results).result is Outcome.TIMEOUT
    assert "not sent" in only(results).detail
    assert hall.executed == []


def test_a_slow_store_leaves_the_rest_of_the_time() -> None:
    """What the disk takes is taken from the time of the command, not added to it."""
    hall = Hall(late=3.0)
    results = hall.ask(expiry=10.0)
    hall.clock.advance(3.0)
    assert hall.executed == ["ups1 BZOFF"]
    hall.clock.advance(7.0)
    assert "cancelled" in hall.log
    hall.clock.advance(3.0)
    assert only(results).result is Outcome.TIMEOUT
    assert "7.0 s" in only(results).detail


def test_a_command_may_have_been_asked_for_before(hall: Hall) -> None:
    """A request that was on its way since `asked` has only the rest of its time."""
    hall.clock.advance(20)
    assert only(hall.ask(expiry=5.0, asked=15.0)).result is Outcome.TIMEOUT
    assert hall.executed == []


def test_the_driver_may_ask_how_long(hall: Hall) -> None:
    """What a driver begins knows when the command expires; nothing else expires."""
    known: list[float] = []

    def answer() -> Deferred[CommandResult]:
        known.append(expires())
        return succeed(DONE)

    hall.ups1.answer = answer
    hall.clock.advance(2)
    hall.ask(expiry=7.0)
    assert known == [9.0]
    assert expires() == math.inf


def test_expiring_with_the_one_before_is_expiring(hall: Hall) -> None:
    """Commands asked for in the same moment expire together: only the first was ever told."""
    results = [hall.ask() for _ in range(3)]
    hall.clock.advance(EXPIRY)
    assert [only(each).result for each in results] == [Outcome.TIMEOUT] * 3
    assert hall.executed == ["ups1 BZOFF"]
    assert hall.clock.getDelayedCalls() == []


def test_a_device_that_goes_while_one_waits(hall: Hall) -> None:
    """A command whose device was taken away before its turn ends without being sent."""
    hall.ask()
    results = hall.ask()
    del hall.devices["ups1"]
    hall.ups1.end()
    assert only(results).result is Outcome.TIMEOUT
    assert hall.executed == ["ups1 BZOFF"]


# -- drivers that fail


def _raise() -> Deferred[CommandResult]:
    raise ZeroDivisionError(SECRET)


def _fail() -> Deferred[CommandResult]:
    return fail(ZeroDivisionError(SECRET))


def _return_nothing() -> Any:
    return None


def _return_another() -> Any:
    return succeed("done")


@pytest.mark.parametrize("answer", [_raise, _fail, _return_nothing, _return_another])
def test_a_driver_that_fails_is_a_failed_command(
    hall: Hall, answer: Callable[[], Any], logged_failures: list[Failure]
) -> None:
    """Whatever a driver does wrong, the command has failed, and the log has why."""
    hall.ask()
    hall.ups1.answer = answer
    results, waiting = hall.ask(), hall.ask()
    hall.ups1.end()
    for each in (results, waiting):
        assert only(each).result is Outcome.FAILED
        assert SECRET not in only(each).detail
    assert [each.result for each in hall.audit] == ["done", "failed", "failed"]
    hall.ups1.answer = lambda: succeed(DONE)
    assert only(hall.ask()) == DONE
    assert [failure.type in (ZeroDivisionError, TypeError) for failure in logged_failures] == [
        True,
        True,
    ]
    logged_failures.clear()


def test_a_driver_that_cancels_itself_is_a_timeout(hall: Hall) -> None:
    """A driver that gives up by cancelling leaves open what the device did."""
    results = hall.ask()
    hall.ups1.running_ones.pop(0).errback(CancelledError())
    assert only(results).result is Outcome.TIMEOUT


# -- the same wish twice


def test_the_same_id_is_executed_once(hall: Hall) -> None:
    """A wish that is sent again gets the outcome of the first, and the device hears nothing."""
    results = hall.ask(id="wish")
    hall.ups1.end()
    assert only(results) == DONE
    assert only(hall.ask(id="wish")) == DONE
    assert hall.executed == ["ups1 BZOFF"]
    assert len(hall.audit) == 1
    assert hall.door.counts[Outcome.DONE] == 1


def test_a_wish_that_is_being_done_is_not_begun_again(hall: Hall) -> None:
    """While the first of the same id is under way, the second is refused without waiting."""
    results = hall.ask(id="wish")
    assert "being done" in refusal(hall.ask(id="wish"))
    hall.ups1.end()
    assert only(results) == DONE
    assert hall.executed == ["ups1 BZOFF"]
    assert hall.audit[0].result == "done"


@pytest.mark.parametrize(("command", "target"), [("SOFF", "ups1"), ("BZOFF", "ups2")])
def test_an_id_belongs_to_one_command(hall: Hall, command: str, target: str) -> None:
    """An id that another command had is refused, and the other's outcome is not told."""
    hall.ask(id="wish")
    hall.ups1.end()
    detail = refusal(hall.ask(command, target, id="wish", confirmed=True))
    assert "another command" in detail
    assert hall.executed == ["ups1 BZOFF"]


def test_a_stored_wish_is_not_executed_after_a_restart(hall: Hall) -> None:
    """What an earlier run did or began is not done again: its stored outcome is the answer."""
    hall.ask(id="wish")
    hall.ups1.end()
    assert only(hall.ask(id="wish", door=hall.new_door())) == DONE
    assert hall.executed == ["ups1 BZOFF"]


# -- who asks, and the store


def test_without_an_audit_entry_nothing_is_done(hall: Hall) -> None:
    """When the store fails at the beginning, the caller gets the failure, and no device is told."""
    hall.broken.add("begin")
    [failure] = hall.ask()
    assert isinstance(failure, Failure)
    assert failure.check(OSError)
    assert hall.executed == []
    hall.broken.clear()
    results = hall.ask()
    hall.ups1.end()
    assert only(results) == DONE


def test_a_store_that_fails_at_the_end_is_told(hall: Hall) -> None:
    """When only the end cannot be kept, the caller gets the failure, and the door goes on."""
    results, waiting = hall.ask(), hall.ask()
    hall.broken.add("end")
    hall.ups1.end()
    [failure] = results
    assert isinstance(failure, Failure)
    assert failure.check(OSError)
    hall.broken.clear()
    hall.ups1.end()
    assert only(waiting) == DONE


def test_whoever_goes_away_does_not_take_the_outcome_along(hall: Hall) -> None:
    """A command whose asker is gone is finished, audited and counted all the same."""
    for wish in ("runs", "waits"):
        asking = ensureDeferred(hall.door.run(Request("ups1", "BZOFF", {}, "web", wish)))
        asking.addErrback(lambda failure: failure.trap(CancelledError))
        asking.cancel()
    assert hall.executed == ["ups1 BZOFF"]
    hall.ups1.end()
    hall.ups1.end()
    assert [each.result for each in hall.audit] == ["done", "done"]
    assert hall.door.counts[Outcome.DONE] == 2
    assert "cancelled" not in hall.log


def test_a_store_that_fails_for_nobody_is_logged(
    hall: Hall, logged_failures: list[Failure]
) -> None:
    """When the caller has gone and the end cannot be kept, the failure is logged."""
    asking = ensureDeferred(hall.door.run(Request("ups1", "BZOFF", {}, "web", "c1")))
    asking.addErrback(lambda failure: failure.trap(CancelledError))
    asking.cancel()
    hall.broken.add("end")
    hall.ups1.end()
    assert [failure.type for failure in logged_failures] == [OSError]
    logged_failures.clear()
