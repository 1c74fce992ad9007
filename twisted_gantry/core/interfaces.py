"""The seams: the interfaces of devices, uplinks, bridges, stores and what they are given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from random import Random
from typing import IO, Any, NamedTuple

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface, implementer

from twisted_gantry.core.alarm import Alarm, AlarmLedger
from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.core.history import Row, Sample, Series
from twisted_gantry.core.moments import Moment
from twisted_gantry.core.points import Points
from twisted_gantry.core.stored import AuditEntry, Cap, Destination, Ledger, Report, StoredCard
from twisted_gantry.net.outage import Reason

REPAIRED = "repaired"
"""The key in the `counts` of a device or an uplink for messages that were read only after a repair;
`/metrics` shows them by peer."""


class IDevice(IService):
    """Something that is read and commanded: a service that keeps its points up to date."""

    kind = Attribute("The name of its kind, `ups-card`.")
    status = Attribute("Its `Status`.")
    rules = Attribute("The alarm `Rule`s over its points, a sequence.")
    commands = Attribute("Its commands: a mapping from the name to the `CommandType`.")

    def execute(command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        """Do one of `commands`; the door has checked the arguments against its type.

        Only the command door calls this, one command at a time, and cancels the Deferred when the
        command expires. CancelledError and TimeoutError of Twisted count as `timeout`, any other
        failure as `failed`.
        """


class WrongSetting(ValueError):
    """A setting with the right type and a wrong value; `key` is its name."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class IRefreshable(IDevice):
    """A device that can be asked for a reading at once."""

    def refresh() -> Deferred[None]:
        """Read anew; fires when that was done, or has failed. It may be cancelled."""


class IUploader(IDevice):
    """A device that uploads to our `monitor.do` instead of being polled."""

    uploads_as = Attribute("The `gantryId` and the cabinet's `id` that it uploads under, a pair.")
    host = Attribute("The host, by name or address, at which it takes commands.")

    def uploaded(fields: Any, *, clock_good: bool, repaired: bool = False) -> None:
        """Take an upload: `fields` are those of the report, their keys stripped.

        `clock_good` False: its time stamp is off or cannot be read. `repaired`: the message was
        damaged. Raises ValueError for anything but a report.
        """

    def upload_refused(reason: Reason) -> None:
        """Note why an upload that seems to come from this device was not taken."""


class IRelay(IDevice):
    """A device that can interrupt the power of another for some seconds: `power-cycle`."""

    place = Attribute("Its address, as the platform names it: a pair of host text and port.")
    pending_on = Attribute("Name of the setting that is True while the power is to be restored.")


class NotTold(Exception):
    """A device did not answer a question; the text says why, and holds no secret."""


@dataclass(frozen=True)
class Picture:
    """A picture or video of a door: its file name, which has no path, and its content."""

    name: str
    content: bytes


class ICamera(IDevice):
    """A device that keeps pictures of its doors."""

    def picture(opened: str) -> Deferred[Picture | None]:
        """Ask for the picture of a door that opened at `opened`, `yyyy-MM-dd hh:mm:ss.zzz` local
        time; None without one. Fails with NotTold.
        """


class IBatteryRecorder(IDevice):
    """A device that tests a battery by `battery-test`, and keeps the results itself."""

    def battery_test_result() -> Deferred[Mapping[str, str]]:
        """Ask for the last result: fields of the ETC `batterysTestResult`. Fails with NotTold."""


class IBatteryTester(IDevice):
    """A device that can test a battery (`T`), and remembers the last result."""

    battery_test = Attribute("The last `BatteryTest`, or None.")

    def why_not_test() -> str:
        """Return the reason against a battery test now; empty if there is none."""


@dataclass(frozen=True)
class BatteryTest:
    """A battery test, running or ended. `started` and `ended` are Unix seconds.

    `result` is `unknown`, `good` or `failed`; `end_voltage` V, None if never read; `end_cause` as
    in the ETC document (1 end voltage … 255 other), 0 while it runs.
    """

    started: float
    ended: float | None = None
    result: str = "unknown"
    end_voltage: float | None = None
    end_cause: int = 0


class LateResult(Exception):
    """A result of a device that is late, or came before."""


class ICallbackHost(Interface):
    """The HTTP endpoint for devices that answer by calling back."""

    def register(
        url: str, receiver: Callable[[bytes], bool], is_source: Callable[[str], bool]
    ) -> Callable[[], None]:
        """Listen at `url` (its port and path) and hand each body to `receiver` that comes from a
        host for which `is_source` is true.

        A receiver returns True for a body that it takes; others of the same URL do not see that
        one. It raises LateResult for one that it does not await any more. Called while the devices
        are built; returns the end of it. Raises ValueError for text that is no URL.
        """


class ITap(Interface):
    """Wraps the connections between the gantry and a device, to record their traffic."""

    def endpoint(endpoint: Any) -> Any:
        """Return a client endpoint with the same peer as `endpoint`."""

    def client(client: Any) -> Any:
        """Return an HTTP client that sends through `client`."""

    def receiver(url: str, receiver: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """Return a receiver of the callbacks at `url` that hands them to `receiver`."""

    def uploaded(fields: Any) -> None:
        """Note an upload, as given to `IUploader.uploaded`."""


@implementer(ITap)
class Untapped:
    """Records nothing: every connection stays as it is."""

    def endpoint(self, endpoint: Any) -> Any:
        return endpoint

    def client(self, client: Any) -> Any:
        return client

    def receiver(self, url: str, receiver: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        return receiver

    def uploaded(self, fields: Any) -> None:
        pass


UNTAPPED = Untapped()


def unseen(host: str, expires: datetime) -> None:
    """Take no note of a certificate."""


@dataclass(frozen=True)
class DeviceContext:
    """What a driver is given of its surroundings; a test gives it others.

    `reactor` provides time and the networking that the driver's addresses need; `now` returns Unix
    seconds; `in_thread` runs a blocking function and returns a Deferred of its result. `gantry_id`
    is the gantry's own number. All traffic of the device goes through `tap`. `certificate_seen`
    learns with which host TLS was made, and when that host's certificate expires.

    `build` may keep all of these and declare points, but starts no timer, thread or connection:
    `--check` builds devices and never starts them.
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
    certificate_seen: Callable[[str, datetime], None] = unseen


class IDeviceKind(Interface):
    """A kind of device, found as an entry point of the group `twisted_gantry.devices`."""

    kind = Attribute("Its name in the configuration.")
    settings = Attribute("A msgspec.Struct: the keys of its [[device]] but `name` and `kind`.")
    groups = Attribute(
        "The keys of [[cabinet]], such as `elec`, that may name such a device. A kind whose "
        "settings decide may have `groups_of(settings)`: those of a device with these settings."
    )
    parts = Attribute(
        "A regular expression of the names of its parts (`M1`), empty for none. A kind with parts "
        "may have `part_points(part)`: the names of the points of a part, without the part's name. "
        "A kind whose groups have rows (`elec.1.voltage`) may have `row_points(group)` likewise."
    )

    def build(name: str, settings: Any, context: DeviceContext) -> IDevice:
        """Return the device, not started, its points declared. Raises WrongSetting.

        A kind may have `checks`: functions by the key, which return what is wrong with its value,
        empty if nothing is. `--check` then names every mistake of a device, not the first alone.
        A kind with parts or rows may have `point_type(name)`: the `PointType` of one of their
        points, None for an unknown one, so that `--check` knows what can be compared with what.
        A kind may have `causes`: a sequence of `wire.causes.Link`, which of its alarms explain
        which.
        """


class IUplink(IService):
    """A destination of reports."""

    kind = Attribute("`etc` or `fogslink`.")
    status = Attribute("Its `Status`.")
    last_delivered = Attribute("Unix seconds of the last acknowledgement, or None.")

    def retry() -> None:
        """Try at once instead of after the pause: a person asked for it."""


class Fill(NamedTuple):
    """How full a queue is: its length and its bound, both in entries."""

    length: int
    bound: int


DROPPED = "dropped"
"""The key in the `counts` of a bridge for what a bound made it drop."""


class IBridge(IService):
    """The site in the protocol of a neighbour. A bridge never slows or stops the gantry.

    What it does on a reading or an alarm is to note names; a timer or a turn of the reactor does
    the rest. A bridge that cannot listen or connect is offline, tries again and raises nothing.
    The name of its `status` is `bridge.` and the name of its table, such as `bridge.mqtt`.
    """

    status = Attribute("Its `Status`; the alarm of a bridge that is offline comes from this.")
    peers = Attribute("How many neighbours are connected now, a number.")
    counts = Attribute("What happened so far, a mapping from a word to a number; `dropped` is one.")
    queues = Attribute("Each of its queues: a mapping from a word to a `Fill`.")


class IRegisterMap(IBridge):
    """A bridge with a map of registers, which the local API shows."""

    def registers() -> Any:
        """Return the places of the points and of the commands, as the local API has them."""


class NotTaken(Exception):
    """A person could not be called; the text says why, and holds no secret."""


class ICalled(IService):
    """A target of notifications: people who are called about alarms. Its messages are in the outbox
    under the name of its status, `notify.<name>`.
    """

    kind = Attribute("The name of its kind, `webhook`.")
    status = Attribute("Its `Status`.")
    last_delivered = Attribute("Unix seconds of the last message that was taken, or None.")
    counts = Attribute("A Counter of messages by how they ended.")

    def retry() -> None:
        """Try at once instead of after the pause: a person asked for it."""

    def test() -> Deferred[None]:
        """Send a message that says that it is a test. Fails with NotTaken."""


class Subject(StrEnum):
    """Reports that the platform may request at once, or with another period."""

    COMPUTERS = "computers"
    CABINETS = "cabinets"


class NotKept(Exception):
    """The store failed: an edge is not on the disk."""

    def __init__(self) -> None:
        super().__init__("the store failed: not all of the upload is on the disk")


class IEdgeKeeper(Interface):
    """An uplink that must hear of every edge, such as each opening of a door."""

    def kept() -> Deferred[None]:
        """Fire once the reports of all edges so far are on the disk. Fails with NotKept."""


class IPlatform(IUplink):
    """An uplink that its platform may control by `remotecontrol.do`."""

    def server(subject: Subject) -> str:
        """Return the URL for reports of `subject`."""

    def report_now(subject: Subject) -> None:
        """Report at once."""

    def set_period(subject: Subject, seconds: float) -> Deferred[None]:
        """Report with another period from now on, also after a restart."""

    def set_server(subject: Subject, url: str) -> Deferred[None]:
        """Report to `url` from now on, also after a restart.

        The server before is restored unless the new one acknowledges a report within 10 min.
        """


class CannotBackUp(Exception):
    """No copy was made; `code` says why.

    `backup-runs`, `no-room`, `no-history`, `no-file` or `backup-failed`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class StoreFailed(Exception):
    """The disk did not take a change, or did not answer; `en` and `zh` say why."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.en, self.zh = en, zh


class StoreHung(StoreFailed):
    """The disk does not answer at all: what was asked of it may happen at any later time."""


class IStore(Interface):
    """Data that outlives the process. A Deferred fires once its change is on the disk.

    While the disk fails, memory takes the place of the disk: reports (up to a bound), the audit of
    commands and settings are kept there, and written as soon as the disk works. A Deferred fires
    then as well. What the disk knows alone is answered with what was last known, or fails with
    StoreFailed. A command that would begin while the disk hangs fails with StoreHung.
    """

    failing = Attribute("Why the disk fails: a StoreFailed, or None while it works.")

    def subscribe(changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever `failing` changes; returns the function to end that."""

    def prove() -> Deferred[None]:
        """Write to the disk now. Fails with StoreFailed when that, or an earlier change, failed."""

    found = Attribute("Damage found at the start, a sequence of texts with `en` and `zh`.")

    def moment() -> Moment:
        """Return the present moment, to be compared with stored ones after a restart."""

    def add_report(
        uplink: str,
        kind: str,
        subject: str,
        body: bytes,
        urgent: int,
        cap: Cap,
        setting: tuple[str, Any] | None = None,
    ) -> Deferred[tuple[int, Sequence[int]]]:
        """Keep a report; returns its number, and those of reports that the cap dropped.

        `setting` is a name and its value, kept together with the report or not at all.
        """

    def next_report(uplink: str, fresh: float) -> Deferred[Report | None]:
        """Return what to send now: an urgent report under `fresh` seconds old, else the oldest. If
        the newest report in order is that fresh, the oldest in order comes before the others.
        """

    def next_reports(uplink: str, limit: int, size: int) -> Deferred[Sequence[Report]]:
        """Return the oldest queued reports in order: at most `limit`, and at most `size` bytes.

        The first one is returned whatever its size.
        """

    def delivered(reports: Sequence[int]) -> Deferred[None]:
        """Remove up to 500 acknowledged reports at once."""

    def tried(report: int, reason: str, body: bytes | None = None) -> Deferred[None]:
        """Note a failed try; `body` replaces that of the report."""

    def set_aside(report: int, reason: str, answer: bytes = b"") -> Deferred[None]:
        """Keep a report that was refused for good, for a person to decide; `answer` is the
        beginning of the answer that refused the report.
        """

    def retry_reports(uplink: str, reports: Sequence[int] | None) -> Deferred[int]:
        """Queue reports again that were set aside, all if none are named; returns the number."""

    def drop_reports(uplink: str, reports: Sequence[int] | None) -> Deferred[int]:
        """Delete reports that were set aside, all if none are named; returns the number."""

    def enforce(uplink: str, cap: Cap) -> Deferred[Sequence[int]]:
        """Drop reports beyond the cap, oldest first; returns their numbers."""

    def reports(
        uplink: str | None, state: str | None, limit: int, after: int = 0
    ) -> Deferred[Sequence[Report]]:
        """Return stored reports, oldest first: those with a number above `after`."""

    def report(report: int) -> Deferred[Report | None]:
        """Return a stored report by its number."""

    def ledger(uplink: str) -> Deferred[Ledger]:
        """Return the counts of the uplink's reports since the store was made."""

    def adopt_reports(uplinks: Sequence[Destination]) -> Deferred[Mapping[str, str]]:
        """Give what is stored for an uplink that is not among `uplinks` to the one of the same kind
        with its place, else to the first of its kind; returns the new name of each. Fails with
        StoreFailed.
        """

    def begin_command(entry: AuditEntry) -> Deferred[AuditEntry | None]:
        """Keep the entry of a command that begins; returns an earlier one of the same id."""

    def end_command(entry: AuditEntry) -> Deferred[None]:
        """Keep the result of a command."""

    def audit(limit: int) -> Deferred[Sequence[AuditEntry]]:
        """Return the newest entries, newest first."""

    def keep_alarms(alarms: Sequence[Alarm]) -> Deferred[None]:
        """Keep alarms by their ids, each in place of an earlier record; their ledger is counted in
        the same transaction.
        """

    def alarms(since: float, until: float, limit: int) -> Deferred[Sequence[Alarm]]:
        """Return alarms that were raised from `since` to `until`, Unix seconds, newest first."""

    def end_other_alarms(but: Sequence[str], at: float, why: str) -> Deferred[AlarmLedger]:
        """End what is active on the disk, but alarms with these ids; returns the ledger."""

    def put_setting(name: str, value: Any) -> Deferred[None]:
        """Keep a setting that was changed at run time; None removes the setting."""

    def settings() -> Deferred[Mapping[str, Any]]:
        """Return all kept settings."""

    def replace_cards(version: str, cards: Sequence[StoredCard]) -> Deferred[None]:
        """Replace the whole white list."""

    def cards() -> Deferred[tuple[str, Sequence[StoredCard]]]:
        """Return the version of the white list and its cards; `0` without a list."""

    def backup(history: bool) -> Deferred[IO[bytes]]:
        """Return a copy of the store, or of the history, as of now: an SQLite database.

        The file is open at its start and has no name; the caller closes it. Cancelling ends the
        copying. Fails with CannotBackUp.
        """

    def close() -> Deferred[None]:
        """Finish pending writes, and close."""


class IHistory(Interface):
    """The values of points over time. A Deferred fails when the disk does."""

    found = Attribute("Damage found at the start, a sequence of texts with `en` and `zh`.")

    def add(samples: Sequence[Sample]) -> Deferred[None]:
        """Keep samples; they may come late, and the last one of the same moment wins.

        Fires when they are kept; a power cut may still lose those of the last second.
        """

    def query(point: str, since: float, until: float, step: float | None) -> Deferred[Series]:
        """Return the values of `point` from `since` to `until`, Unix seconds, in buckets.

        A series has at most 2,000 buckets: without a `step` (seconds), or with one that would make
        more, its step is the smallest round one that fits. An unknown point has no buckets.
        """

    def fitting_step(since: float, until: float) -> float:
        """Return the step of a series without a given one, seconds."""

    def rows(
        points: Sequence[str], since: float, until: float, step: float
    ) -> Deferred[Sequence[Row]]:
        """Return the values of several points in rows, one for each step from `since` to `until` in
        which any of them is known: for few steps at once, such as some hundreds.
        """

    def close() -> Deferred[None]:
        """Finish pending writes, and close."""
