"""The seams: what a device, an uplink and a store are to the rest of the program."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import IO, Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface, implementer

from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.core.points import Points
from twisted_gantry.core.stored import AuditEntry, Cap, Ledger, Report, StoredCard


class IDevice(IService):
    """Something that is read and commanded. It is a service: started, it keeps its points fresh."""

    kind = Attribute("The name of its driver, `ups-card`.")
    status = Attribute("Its `Status`.")
    rules = Attribute("The alarm `Rule`s over its points, a sequence.")
    commands = Attribute("What it can do: a mapping from the command's name to its `CommandType`.")

    def execute(command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        """Do one of `commands`; the arguments have been checked against its type.

        It is called by the command door alone, one command at a time. It may fail with anything;
        that counts as `failed`. It is cancelled when the command expires.
        """


class WrongSetting(ValueError):
    """A setting whose type is right and whose value is not; `key` is its name."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class IUploader(IDevice):
    """A device that uploads to us, at our `monitor.do`, instead of being asked."""

    uploads_as = Attribute("The `gantryId` and the cabinet's `id` that it uploads under, a pair.")

    def uploaded(fields: Any, *, clock_good: bool) -> None:
        """Take an upload: `fields` are those of the report, their keys stripped.

        `clock_good` False: its time stamp is off. Raises ValueError for what is no report at all.
        """


class IRelay(IDevice):
    """A device that can cut the power of another, and gives it back: `power-cycle`."""

    place = Attribute("Where it is, as the platform names it: a pair of host text and port.")


class NotTold(Exception):
    """A device did not answer a question; the text says why, and holds no secret."""


class IBatteryRecorder(IDevice):
    """A device that tests a battery by `battery-test`, and keeps the results itself."""

    def battery_test_result() -> Deferred[Mapping[str, str]]:
        """Ask how the last test went: the fields of the ETC document's `batterysTestResult`.

        Fails with NotTold.
        """


class IBatteryTester(IDevice):
    """A device that can test a battery (`T`), and remembers how the last test went."""

    battery_test = Attribute("The last `BatteryTest`, or None.")

    def why_not_test() -> str:
        """Say what speaks against a battery test now; empty if nothing does."""


@dataclass(frozen=True)
class BatteryTest:
    """A battery test that runs or ended. `started` and `ended` are Unix seconds.

    `result` is `unknown`, `good` or `failed`; `end_voltage` V, None if never read; `end_cause` as
    in the ETC document (1 end voltage … 255 other), 0 while it runs.
    """

    started: float
    ended: float | None = None
    result: str = "unknown"
    end_voltage: float | None = None
    end_cause: int = 0


class ICallbackHost(Interface):
    """Where devices that answer by calling back are listened for."""

    def register(url: str, receiver: Callable[[bytes], bool]) -> Callable[[], None]:
        """Listen at `url` (its port and path) and hand each body to `receiver`.

        It returns True if the body was for it; of several receivers of one URL, the first that
        takes it. Called while the devices are built; returns how to end it. Raises ValueError for
        a URL that is none.
        """


class ITap(Interface):
    """Where it is listened in on what passes between the gantry and a device."""

    def endpoint(endpoint: Any) -> Any:
        """Return a client endpoint to the same place as `endpoint`."""

    def client(client: Any) -> Any:
        """Return an HTTP client that asks through `client`."""

    def receiver(url: str, receiver: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """Return a receiver of the callbacks at `url` that hands them to `receiver`."""

    def uploaded(fields: Any) -> None:
        """Note what a device uploaded, as `IUploader.uploaded` is given it."""


@implementer(ITap)
class Untapped:
    """Nobody listens in."""

    def endpoint(self, endpoint: Any) -> Any:
        """Return the same."""
        return endpoint

    def client(self, client: Any) -> Any:
        """Return the same."""
        return client

    def receiver(self, url: str, receiver: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """Return the same."""
        return receiver

    def uploaded(self, fields: Any) -> None:
        """Note nothing."""


UNTAPPED = Untapped()


@dataclass(frozen=True)
class DeviceContext:
    """What a driver is given of the world, so that a test can give it another.

    `reactor` provides time and the networking that the driver's addresses need; `now` returns Unix
    seconds; `in_thread` runs a blocking function and returns a Deferred of its result. `gantry_id`
    is the gantry's own number. What passes to and from the device goes through `tap`. A device that
    is only tried by `--check` must not use them.
    """

    reactor: Any
    points: Points
    now: Callable[[], float]
    random: Random
    in_thread: Callable[..., Deferred[Any]]
    store: "IStore"
    callbacks: ICallbackHost
    gantry_id: str
    tap: ITap = UNTAPPED


class IDeviceKind(Interface):
    """A kind of device, found as an entry point of the group `twisted_gantry.devices`."""

    kind = Attribute("Its name in the configuration.")
    settings = Attribute("A msgspec.Struct: the keys of its [[device]] but `name` and `kind`.")
    groups = Attribute("The groups of a [[cabinet]] that such a device can be the source of.")
    parts = Attribute(
        "A regular expression of the names of its parts (`M1`), empty for none. A kind that has "
        "some may have `part_points(part)`, the names of the points of a part, without its own."
    )

    def build(name: str, settings: Any, context: DeviceContext) -> IDevice:
        """Return the device, not started, its points declared. Raises WrongSetting."""


class IUplink(IService):
    """Something that is reported to."""

    status = Attribute("Its `Status`.")
    last_delivered = Attribute("Unix seconds of the last acknowledgement, or None.")

    def retry() -> None:
        """Try at once instead of at the end of a pause: somebody asked for it."""


class Subject(StrEnum):
    """What the platform may have reported at once, or at another pace."""

    COMPUTERS = "computers"
    CABINETS = "cabinets"


class IPlatform(IUplink):
    """An uplink that the platform at its other end may steer, as `remotecontrol.do` asks."""

    def server(subject: Subject) -> str:
        """Return the URL that reports of `subject` go to."""

    def report_now(subject: Subject) -> None:
        """Report at once."""

    def set_period(subject: Subject, seconds: float) -> Deferred[None]:
        """Report every so many seconds from now on, also after a restart."""

    def set_server(subject: Subject, url: str) -> Deferred[None]:
        """Report to `url` from now on, also after a restart.

        The server before is restored unless the new one acknowledges a report within 10 min.
        """


class CannotBackUp(Exception):
    """There is no copy; `code` says why.

    `backup-runs`, `no-room`, `no-history`, `no-file` or `backup-failed`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class IStore(Interface):
    """What must outlive the process. A Deferred fires once its change is on the disk.

    Each of them fails when the disk does.
    """

    found = Attribute("What the last start found, a sequence of texts with `en` and `zh`.")

    def add_report(
        uplink: str,
        kind: str,
        subject: str,
        body: bytes,
        urgent: bool,
        cap: Cap,
        setting: tuple[str, Any] | None = None,
    ) -> Deferred[tuple[int, Sequence[int]]]:
        """Keep a report; returns its number, and those that the cap dropped for it.

        `setting` is a name and its value, kept with the report or not at all.
        """

    def next_report(uplink: str, fresh: float) -> Deferred[Report | None]:
        """Return what to send now: urgent ones created after `fresh`, then the oldest."""

    def next_reports(uplink: str, limit: int, size: int) -> Deferred[Sequence[Report]]:
        """Return the oldest that are queued, in their order: `limit`, or less above `size` bytes.

        The first comes whatever its size.
        """

    def delivered(report: int) -> Deferred[None]:
        """Remove a report: it was acknowledged."""

    def delivered_many(reports: Sequence[int]) -> Deferred[None]:
        """Remove up to 500 reports at once: they were acknowledged."""

    def tried(report: int, reason: str, body: bytes | None = None) -> Deferred[None]:
        """Note a try that failed, and a body that replaces the old one."""

    def set_aside(report: int, reason: str) -> Deferred[None]:
        """Keep a report for a person: it was refused for good."""

    def retry_reports(uplink: str, reports: Sequence[int] | None) -> Deferred[int]:
        """Queue reports that were set aside again, all if none are named; returns how many."""

    def drop_reports(uplink: str, reports: Sequence[int] | None) -> Deferred[int]:
        """Give up reports that were set aside, all if none are named; returns how many."""

    def enforce(uplink: str, cap: Cap) -> Deferred[Sequence[int]]:
        """Drop what is over the cap, oldest first; returns what was dropped."""

    def reports(uplink: str | None, state: str | None, limit: int) -> Deferred[Sequence[Report]]:
        """Return stored reports, oldest first."""

    def ledger(uplink: str) -> Deferred[Ledger]:
        """Return what became of the uplink's reports since the store was made."""

    def begin_command(entry: AuditEntry) -> Deferred[AuditEntry | None]:
        """Keep the entry of a command that begins; returns the one of the same id, if there is."""

    def end_command(entry: AuditEntry) -> Deferred[None]:
        """Keep how a command ended."""

    def audit(limit: int) -> Deferred[Sequence[AuditEntry]]:
        """Return the newest entries, newest first."""

    def put_setting(name: str, value: Any) -> Deferred[None]:
        """Keep a setting that was accepted at run time; None removes it."""

    def settings() -> Deferred[Mapping[str, Any]]:
        """Return all settings that are kept."""

    def replace_cards(version: str, cards: Sequence[StoredCard]) -> Deferred[None]:
        """Replace the white list, whole."""

    def cards() -> Deferred[tuple[str, Sequence[StoredCard]]]:
        """Return the white list and its version, `0` if there is none."""

    def backup(history: bool) -> Deferred[IO[bytes]]:
        """Return a copy of all that is kept, or of the history, as of now: an SQLite database.

        The file is open at its start and has no name; whoever gets it closes it. Cancelled, the
        copying ends. Fails with CannotBackUp.
        """

    def close() -> Deferred[None]:
        """Finish what was begun, and close."""
