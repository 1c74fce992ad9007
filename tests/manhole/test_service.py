"""The manhole: logins, running of lines, and the entries of the audit."""

import os
import pwd
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from tests.daemon.process import free_port, until
from tests.support import Bench, fired
from twisted_gantry.core.commands.types import Argument, CommandResult, CommandType, Outcome
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.manhole.console import MAX_STATEMENT, Console, Context
from twisted_gantry.manhole.lines import masked
from twisted_gantry.manhole.service import CannotOpen, ManholeSettings, manhole_service
from twisted_gantry.net.service import NamedService


@implementer(IDevice)
class Card(NamedService):
    """A device that notes its commands, and answers with `answer` if a test sets it."""

    kind, rules = "ups-card", ()

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        super().__init__(name)
        self.name, self.status = name, Status(name, now)
        self.commands = {
            "BZOFF": CommandType({}, "buzzer off", "蜂鸣器静音"),
            "set-password": CommandType({"new": Argument(secret=True)}, "password", "密码"),
            "query": CommandType({"cmd": Argument()}, "query", "查询"),
            "SOFF": CommandType({}, "output off", "关闭输出", danger="darkens the gantry"),
        }
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.answer: Deferred[CommandResult] | None = None

    def execute(self, command: str, args: Any) -> Deferred[CommandResult]:
        self.told.append((command, dict(args)))
        return succeed(CommandResult(Outcome.DONE)) if self.answer is None else self.answer


class Screen:
    def __init__(self) -> None:
        self.text, self.prompts, self.left = "", list[bool](), False

    def say(self, text: str) -> None:
        self.text += text

    def prompt(self, *, more: bool) -> None:
        self.prompts.append(more)

    def leave(self) -> None:
        self.left = True


def audit_of(bench: Bench) -> list[AuditEntry]:
    """Return the audit, oldest first."""
    [entries] = fired(bench.store.audit(100))
    return list(reversed(entries))


class Rig:
    """A site on a Clock, with one device and one console."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.card = Card("ups1", self.bench.clock.now)
        self.bench.add(self.card)
        self.screen = Screen()
        context = Context(self.bench.site, self.bench.clock, self.bench.clock.now)
        self.console = Console(context, "manhole 192.0.2.7 alice", self.screen)
        self.screen.text = ""

    def enter(self, *lines: str) -> str:
        """Enter lines; returns the text that they showed."""
        before = len(self.screen.text)
        for line in lines:
            self.console.enter(line)
        return self.screen.text[before:]

    def audit(self) -> list[AuditEntry]:
        return audit_of(self.bench)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_values_are_shown(rig: Rig) -> None:
    """An expression shows its value, a statement nothing; names stay until the session ends."""
    assert rig.enter("site.gantry_id") == "'G000211001002110010'\n"
    assert rig.enter("x = 20") == ""
    assert rig.enter("x + 1; x + 2") == "22\n"
    assert rig.enter("_ * 2") == "44\n"
    assert rig.enter('devices["ups1"].status.state.value') == "'connecting'\n"
    assert rig.enter("help()") == rig.enter("help")
    assert "command(" in rig.enter("help")
    assert rig.enter("1;\r2") == "2\n"
    assert rig.enter('print("a", 2)') == "a 2\n"


def test_statements_of_several_lines(rig: Rig) -> None:
    """A block asks for more until an empty line ends it."""
    assert rig.enter("for n in range(2):", "    print(n)", "") == "0\n1\n"
    assert rig.screen.prompts[-3:] == [True, True, False]
    [entry] = rig.audit()
    assert entry.args == {"line": "for n in range(2):\n    print(n)\n"}


def test_await_at_the_top(rig: Rig) -> None:
    """A line may await; the next line runs after it, and sees its result."""
    rig.card.answer = Deferred()
    shown = rig.enter('r = await command("ups1", "BZOFF")', "r.result.value")
    assert shown == ""
    assert rig.screen.prompts == [False]
    rig.card.answer.callback(CommandResult(Outcome.DONE))
    assert rig.screen.text == "'done'\n"
    assert rig.card.told == [("BZOFF", {})]


def test_a_command_that_can_hurt_is_confirmed(rig: Rig) -> None:
    """It says what follows from it, and is done with `confirm=True`."""
    shown = rig.enter('await command("ups1", "SOFF")')
    assert "SOFF darkens the gantry: it needs a confirmation" in shown
    assert rig.card.told == []
    rig.card.answer = Deferred()
    rig.enter('await command("ups1", "SOFF", confirm=True)')
    assert rig.card.told == [("SOFF", {})]


def test_a_deferred_is_shown_when_it_fires(rig: Rig) -> None:
    """A Deferred that is not awaited shows its result or error when it fires."""
    rig.card.answer = Deferred()
    assert rig.enter('command("ups1", "BZOFF")') == "<Deferred 1: shown when it fires>\n"
    assert rig.screen.prompts[-1] is False
    rig.card.answer.callback(CommandResult(Outcome.FAILED, "no"))
    assert "Deferred 1: CommandResult(result=<Outcome.FAILED" in rig.screen.text
    later: Deferred[None] = Deferred()
    rig.console.namespace["later"] = later
    rig.enter("later")
    later.errback(ValueError("broken"))
    assert "Deferred 2 failed: ValueError: broken" in rig.screen.text
    assert "Deferred 3: ('0', [])" in rig.enter("store.cards()")


def test_a_coroutine_is_awaited(rig: Rig) -> None:
    """A coroutine that a line returns is run."""
    assert rig.enter("async def f():", "    return 7", "") == ""
    assert rig.enter("f()") == "Deferred 1: 7\n"


def test_the_audit_has_each_line(rig: Rig) -> None:
    """Each line is in the audit with its operator and its result."""
    rig.enter("1", "1/0", "this is no python", "")
    seen = [(e.who, e.target, e.command, e.args["line"], e.result, e.detail) for e in rig.audit()]
    who = ("manhole 192.0.2.7 alice", "gantry", "manhole")
    assert seen == [
        (*who, "1", "done", ""),
        (*who, "1/0", "failed", "ZeroDivisionError"),
        (*who, "this is no python", "failed", "SyntaxError"),
    ]
    assert "ZeroDivisionError: division by zero" in rig.screen.text
    assert "console.py" not in rig.screen.text


def test_a_line_is_in_the_audit_before_it_runs(rig: Rig) -> None:
    """A line runs after its audit entry is kept, and does not run without the entry."""
    rig.enter('await command("ups1", "BZOFF")')
    assert [e.command for e in rig.audit()] == ["manhole", "BZOFF"]
    broken: Deferred[None] = fail(OSError("disk full: s3cret"))
    vars(rig.bench.store)["begin_command"] = lambda _: broken
    assert rig.enter("x = 1") == "not run, because the audit failed: OSError\n"
    assert "x" not in rig.console.namespace


def test_a_disk_that_hangs_does_not_hang_the_manhole(rig: Rig) -> None:
    """A line is given up if the audit does not answer in time."""
    vars(rig.bench.store)["begin_command"] = lambda _: Deferred()
    assert rig.enter("1") == ""
    rig.bench.clock.run(10)
    assert rig.screen.text == "not run, because the audit failed: TimeoutError\n"
    assert rig.screen.prompts == [False, False]


def test_interrupt(rig: Rig) -> None:
    """Ctrl-C cancels the running statement, the waiting lines, and an incomplete statement."""
    rig.card.answer = Deferred()
    rig.enter('await command("ups1", "BZOFF")', "1")
    rig.console.interrupt()
    assert rig.screen.text == "interrupted\n"
    assert [(e.command, e.result) for e in rig.audit()] == [("manhole", "timeout"), ("BZOFF", "")]
    rig.card.answer.callback(CommandResult(Outcome.DONE))  # what was begun is finished
    assert rig.audit()[1].result == "done"
    rig.enter("if 1:")
    rig.console.interrupt()
    assert rig.enter("2") == "2\n"


def test_leaving(rig: Rig) -> None:
    """exit(), sys.exit() and the end of input end the session; the daemon goes on."""
    rig.enter("exit()", "1")
    assert rig.screen.left
    assert rig.screen.text == ""
    assert rig.audit()[0].result == "done"
    other = Rig()
    other.card.answer = Deferred()
    other.enter('await command("ups1", "BZOFF")')
    other.console.end()
    before = other.screen.left
    other.card.answer.callback(CommandResult(Outcome.DONE))
    assert (before, other.screen.left) == (False, True)
    third = Rig()
    third.enter("import sys", "sys.exit(3)")
    assert third.screen.left


def test_nobody_is_there(rig: Rig) -> None:
    """After the loss of the connection nothing is shown; the running statement is cancelled."""
    rig.card.answer = Deferred()
    rig.enter('await command("ups1", "BZOFF")')
    rig.console.closed()
    rig.card.answer.callback(CommandResult(Outcome.DONE))
    assert rig.screen.text == ""
    assert rig.audit()[0].detail == "interrupted"
    assert rig.enter("1") == ""


def test_what_would_stop_the_daemon(rig: Rig) -> None:
    """Functions that read the keyboard of the daemon are refused."""
    assert "would stop the daemon" in rig.enter("input()")
    assert "would stop the daemon" in rig.enter("breakpoint()")


def test_bounds(rig: Rig) -> None:
    """Statements and output are bounded, and no value can control the terminal."""
    assert "was not run" in rig.enter("x = '" + "y" * MAX_STATEMENT + "'")
    assert rig.audit() == []
    shown = rig.enter("'y' * 10**6")
    assert len(shown) < 70_000
    assert "characters more" in shown
    assert rig.enter(r'print("\x1b[2J\x9b\ud800")') == "\\x1b[2J\\x9b\\ud800\n"
    assert rig.enter("class A:", "    __repr__ = None", "") == ""
    assert rig.enter("A()") == "<a A, its repr fails: TypeError>\n"


HIDDEN = [
    (
        'command("ups1", "set-password", new="s3cret")',
        'command("ups1", "set-password", new=\'***\')',
    ),
    ('command("ups1", "query", cmd="QAD")', 'command("ups1", "query", cmd="QAD")'),
    ('command("ups1", "no-such", a="s3cret", confirm=True)', None),
    ('await command("ups1", "set-password", **{"new": "s3cret"})', None),
    ('command("ups1", kind, new="s3cret")', None),
    ('password = "s3cret"', "password = '***'"),
    ('x.auth = y["api_key"] = "s3cret"', None),
    ('connect(host="h", token="s3cret")', "connect(host=\"h\", token='***')"),
    ('{"user": "admin", "password": "s3cret"}', None),
    ('site.auth == "s3cret"', None),
    ('Secret("s3cret")', None),
    ('door.run(Request("ups1", "set-password", {"new": "s3cret"}, "me", "1"))', None),
    ('devices["ups1"].execute("set-password", {"new": "s3cret"})', None),
    ('温度 = 1; password = f"s3cret{温度}"; 温度', "温度 = 1; password = '***'; 温度"),
    ('command("ups1", "set-password", new="s3cret', None),
    ("(token := 's3cret')", None),
    ("1 + 1", "1 + 1"),
]


@pytest.mark.parametrize(("line", "kept"), HIDDEN)
def test_secrets_are_not_kept(rig: Rig, line: str, kept: str | None) -> None:
    """What looks like a secret is *** in the audit; the rest of the line stays."""

    def arguments(command: str) -> Any:
        kind = rig.card.commands.get(command)
        return kind.arguments if kind is not None else None

    shown = masked(line, arguments)
    assert "s3cret" not in shown
    assert kept is None or shown == kept
    rig.enter(line)
    assert "s3cret" not in str(rig.audit())


@given(st.text(), st.sampled_from(["password", "x.token", 'y["api_key"]', "a = auth"]))
def test_no_secret_slips_through(secret: str, name: str) -> None:
    """No character of any secret is kept; the text after the secret is."""
    for quoted in (repr(secret), f"f{repr(secret).replace('{', '').replace('}', '')}"):
        shown = masked(f"1;\t{name} = {quoted}  # 门架\nnext", lambda _: None)
        assert shown == f"1;\t{name} = '***'  # 门架\nnext"


@given(st.text())
def test_any_text_can_be_masked(text: str) -> None:
    """The masking fails on no text."""
    masked(text, lambda _: None)


# -- over real sockets


class Door:
    """A manhole on the real reactor, and the folder of its operators."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        self.folder, self.reactor = folder, reactor
        self.keys = folder / "data" / "manhole_authorized_keys"
        self.bench = Bench()
        self.bench.add(Card("ups1", self.bench.clock.now))
        self.service: Any = None

    def make(self, **settings: str) -> Any:
        """Return the service, not started."""
        return manhole_service(
            ManholeSettings(**settings),
            self.bench.site,
            self.folder / "data",
            self.reactor,
            self.bench.clock.now,
        )

    def open(self, **settings: str) -> None:
        self.service = self.make(**settings)
        self.service.startService()

    def open_ssh(self, *keys: Path) -> int:
        self.allow(*keys)
        port = free_port()
        self.open(listen=f"tcp:{port}:interface=127.0.0.1")
        return port

    def allow(self, *keys: Path) -> None:
        """Write the file of authorized keys, with a comment and an empty line."""
        lines = [key.with_suffix(".pub").read_text() for key in keys]
        self.keys.write_text("# who may\n\n" + "".join(lines), encoding="utf-8")

    def key(self, name: str, comment: str = "alice@desk") -> Path:
        """Make a pair of keys."""
        path = self.folder / name
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
        subprocess.run(keygen, check=True)
        return path

    async def ssh(self, port: int, key: Path, lines: str, *more: str, user: str = "gantry") -> Any:
        """Log in with the OpenSSH client, and enter lines."""
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "accept-new",
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "ConnectTimeout": "30",
        }
        command = ["ssh", "-F", "none", "-p", str(port), "-i", str(key)]
        command += [f"-o{name}={value}" for name, value in options.items()]
        command += [*more, f"{user}@127.0.0.1"]
        return await deferToThread(
            lambda: subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60)
        )

    def audit(self) -> list[AuditEntry]:
        return audit_of(self.bench)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    from twisted.internet import reactor

    (tmp_path / "data").mkdir()
    made = Door(tmp_path, reactor)
    yield made
    if made.service is not None:
        pytest_twisted.blockon(made.service.stopService())
        pytest_twisted.blockon(deferLater(made.reactor, 0.05))


async def test_ssh(door: Door) -> None:
    """OpenSSH logs in with an authorized key, and not with another key or a password."""
    alice, mallory = door.key("alice"), door.key("mallory", "alice@desk")
    port = door.open_ssh(alice)
    lines = 'site.gantry_id\n(await command("ups1", "BZOFF")).result.value\n"门" + "架"\nexit()\n'
    for pty in ("-T", "-tt"):
        entered = await door.ssh(port, alice, lines, pty)
        assert "'G000211001002110010'" in entered.stdout, entered
        assert "'done'" in entered.stdout
        assert "'门架'" in entered.stdout
        assert "\x1bc" not in entered.stdout  # the screen stays as it was
    first = door.audit()[0]
    assert (first.who, first.args) == ("manhole 127.0.0.1 alice@desk", {"line": "site.gantry_id"})
    count = len(door.audit())
    for key, user, more in (
        (mallory, "gantry", ()),
        (alice, "root", ()),
        (alice, "gantry", ("-oPreferredAuthentications=password,keyboard-interactive",)),
    ):
        refused = await door.ssh(port, key, "1\n", *more, user=user)
        assert refused.returncode == 255
        assert "Permission denied (publickey)" in refused.stderr
    assert len(door.audit()) == count
    # A key that was removed from the file is refused at once.
    door.allow(mallory)
    assert (await door.ssh(port, alice, "1\n")).returncode == 255
    assert (await door.ssh(port, mallory, "exit()\n", "-T")).returncode == 0


async def test_ssh_does_nothing_else(door: Door) -> None:
    """Commands, file transfer and port forwarding are refused; `authorized_keys` may be moved."""
    alice = door.key("alice")
    keys = door.folder / "keys"
    keys.write_text(alice.with_suffix(".pub").read_text(), encoding="utf-8")
    port = free_port()
    door.open(listen=f"tcp:{port}:interface=127.0.0.1", authorized_keys=str(keys))
    subsystem = await door.ssh(port, alice, "", "-s", "-oRequestTTY=no")
    assert subsystem.returncode != 0
    forward = await door.ssh(port, alice, "", "-W", f"127.0.0.1:{free_port()}")
    assert forward.returncode != 0
    back = (f"-R{free_port()}:127.0.0.1:1", "-oExitOnForwardFailure=yes", "-T")
    assert (await door.ssh(port, alice, "", *back)).returncode == 255
    assert door.audit() == []


async def test_idle_connections_leave_room_for_an_operator(door: Door) -> None:
    """Many hosts that connect and say nothing keep no operator out."""
    key = door.key("alice")
    port = door.open_ssh(key)
    idle = [
        await connectProtocol(
            TCP4ClientEndpoint(
                door.reactor, "127.0.0.1", port, bindAddress=(f"127.0.0.{2 + number % 9}", 0)
            ),
            Peer(),
        )
        for number in range(40)
    ]
    done = await door.ssh(port, key, "site.gantry_id\n")
    assert "G000211001002110010" in done.stdout
    for each in idle:
        each.transport.abortConnection()
    await until(door.reactor, "the end", lambda: all(each.lost for each in idle))


async def test_noise_at_the_ssh_port(door: Door) -> None:
    """Odd bytes and too many connections do not keep an operator out, nor log a failure."""
    alice = door.key("alice")
    port = door.open_ssh(alice)
    endpoint = TCP4ClientEndpoint(door.reactor, "127.0.0.1", port)
    peers = [await connectProtocol(endpoint, Peer()) for _ in range(12)]
    for number, peer in enumerate(peers):
        noise = b"SSH-2.0-x\r\n" + bytes([0, 0, 0, 12, 4, number]) + b"\xff" * 5000
        peer.transport.write(noise if number % 2 else b"x" * 6000)
    await until(door.reactor, "all to be cut off", lambda: all(peer.lost for peer in peers))
    entered = await door.ssh(port, alice, "1 + 1\nexit()\n", "-T")
    assert "2" in entered.stdout


def test_the_host_key(door: Door) -> None:
    """The host key is made once, for the owner alone; one that others can read is not used."""
    door.allow(door.key("alice"))
    listen = f"tcp:{free_port()}"
    door.make(listen=listen)
    host = door.folder / "data" / "manhole_host_key"
    text = host.read_bytes()
    assert host.stat().st_mode & 0o777 == 0o600
    assert b"OPENSSH PRIVATE KEY" in text
    door.make(listen=listen)
    assert host.read_bytes() == text
    host.chmod(0o640)
    with pytest.raises(CannotOpen, match="chmod 600"):
        door.make(listen=listen)
    host.chmod(0o600)
    host.write_text("spoiled", encoding="utf-8")
    with pytest.raises(CannotOpen, match="no host key"):
        door.make(listen=listen)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("", "no key"),
        ("# nobody\n", "no key"),
        ('from="10.0.0.1" ssh-ed25519 AAAA x\n', "no key"),
        ("ssh-ed25519 AAAAC3Nz\n", "no key"),
    ],
)
def test_without_keys_it_does_not_open(door: Door, content: str | None, reason: str) -> None:
    """Without a usable key (options make a key unusable) the manhole does not start."""
    if content is not None:
        door.keys.write_text(content, encoding="utf-8")
    with pytest.raises(CannotOpen, match=reason):
        door.open(listen="tcp:0:interface=127.0.0.1")
    assert not (door.folder / "data" / "manhole_host_key").exists()


class Peer(Protocol):
    def __init__(self) -> None:
        self.text, self.lost = "", False

    def dataReceived(self, data: bytes) -> None:
        self.text += data.decode(errors="replace")

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True


async def test_a_unix_socket(door: Door) -> None:
    """The socket is for its owner alone, takes lines, and the audit names the user."""
    path = door.folder / "run" / "manhole.sock"
    door.open(listen=f"unix:{path}")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    endpoint = UNIXClientEndpoint(door.reactor, str(path))
    peer = await connectProtocol(endpoint, Peer())
    peer.transport.write(b'site.gantry_id\r\nfor n in "ab":\n  print(n)\n\n')
    await until(door.reactor, "b", lambda: "b\n>>> " in peer.text)
    assert peer.text.startswith("twisted_gantry manhole; help() shows what you can use\n>>> ")
    assert "'G000211001002110010'\n>>> ... ... a\nb\n" in peer.text
    user = pwd.getpwuid(os.getuid()).pw_name
    assert {entry.who for entry in door.audit()} == {f"manhole unix {user}"}
    peer.transport.write(b"store.cards()\n1 + 1")
    await until(door.reactor, "it", lambda: "('0', [])" in peer.text)
    peer.transport.write(b"1\n")
    peer.transport.loseWriteConnection()
    await until(door.reactor, "the end", lambda: peer.lost)
    assert ">>> 12\n" in peer.text
    long = await connectProtocol(endpoint, Peer())
    long.transport.write(b"x" * 20_000)
    await until(door.reactor, "to be cut off", lambda: long.lost)


async def test_a_session_ends_with_the_service(door: Door) -> None:
    """The stop of the service ends the open sessions."""
    path = door.folder / "run" / "manhole.sock"
    door.open(listen=f"unix:{path}")
    peer = await connectProtocol(UNIXClientEndpoint(door.reactor, str(path)), Peer())
    await until(door.reactor, "a prompt", lambda: ">>> " in peer.text)
    await door.service.stopService()
    await until(door.reactor, "the end", lambda: peer.lost)
    assert not path.exists()
    door.service = None


def test_a_folder_that_others_can_enter_is_refused(door: Door) -> None:
    """A folder is refused where others could reach the socket before its mode is set."""
    open_folder = door.folder / "open"
    open_folder.mkdir()
    open_folder.chmod(0o755)
    with pytest.raises(CannotOpen, match="chmod 700"):
        door.open(listen=f"unix:{open_folder}/manhole.sock")


@pytest.mark.parametrize(
    "listen", ["", "unix:", "unix:relative", "unix:/run/x:mode=666", "nonsense", "tcp:", "tcp:x"]
)
def test_wrong_endpoints(door: Door, listen: str) -> None:
    """A malformed endpoint, and a socket mode of its own, are refused."""
    settings = ManholeSettings(listen=listen)
    assert (settings.wrong_listen() == "") is (listen == "")
    with pytest.raises(CannotOpen):
        door.open(listen=listen)
