"""One client of the NUT server: a request line in, the lines of its answer out. No I/O.

Source: RFC 9271, sections 4.2 and 4.3, and what `upsd` 2.8 answers where the RFC leaves it open.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from twisted_gantry import __version__
from twisted_gantry.bridges.nut.commands import NAMES, allows
from twisted_gantry.bridges.nut.settings import NutUser
from twisted_gantry.bridges.nut.tracking import Tracking
from twisted_gantry.bridges.nut.upses import Ups, Upses
from twisted_gantry.bridges.nut.variables import STATUS, described
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.wire.nut import NutCode, NutError, quoted, split
from twisted_gantry.wire.secret import Secret

PROTOCOL = "1.3"
_SERVER = f"twisted_gantry {__version__}, a server of the protocol of Network UPS Tools"
_HELP = (
    "Commands: HELP VER NETVER PROTVER GET LIST SET INSTCMD LOGIN LOGOUT ATTACH DETACH USERNAME "
    "PASSWORD PRIMARY MASTER FSD STARTTLS"
)
_OF_SERVER = {"server.info": _SERVER, "server.version": __version__}
_DESCRIBED = "Description unavailable"
_T = TypeVar("_T")


class NutHost(Protocol):
    """What the sessions of one server share."""

    upses: Upses
    tracking: Tracking

    @property
    def has_tls(self) -> bool:
        """Whether STARTTLS works."""

    def user(self, name: str, password: Secret, address: str) -> Awaitable[NutUser | None]:
        """Return who logs in, None for a wrong name or password. May take some seconds."""

    def logged_in(self, ups: str) -> Sequence["NutSession"]:
        """Return the sessions that are logged in to a UPS."""

    def command(self, ups: str, command: str, who: str) -> Awaitable[Outcome | None]:
        """Do a command of a device; None while its outcome takes longer than a client waits."""

    def tracked(self, ups: str, command: str, who: str) -> str:
        """Begin a command of a device; returns the id by which its outcome is asked for."""


class NutSession:
    """What one client has told so far. `address` is that of the client."""

    def __init__(self, host: NutHost, address: str) -> None:
        self._host, self.address = host, address
        self.ups: str | None = None
        """The UPS that the client is logged in to."""
        self.proved = False
        """Whether the client has proved a name and a password."""
        self.leaving = self.starts_tls = self.tls = False
        self._name: str | None = None
        self._password: Secret | None = None
        self._tracks = False

    async def answer(self, line: bytes) -> str:
        """Return the answer to a request, its lines ended."""
        try:
            words = split(line)
            if not words:
                return ""
            command, *rest = words
            do = _COMMANDS.get(command.upper())
            if do is None:
                raise NutError(NutCode.UNKNOWN_COMMAND)
            told = await do(self, rest)
        except NutError as error:
            return f"ERR {error.code}\n"
        return told + "\n"

    # -- who asks

    async def _username(self, words: list[str]) -> str:
        (name,) = _just(words, 1)
        if self._name is not None:
            raise NutError(NutCode.ALREADY_SET_USERNAME)
        self._name = name
        return "OK"

    async def _password_(self, words: list[str]) -> str:
        (password,) = _just(words, 1)
        if self._password is not None:
            raise NutError(NutCode.ALREADY_SET_PASSWORD)
        self._password = Secret(password)
        return "OK"

    async def _user(self) -> NutUser:
        """Return the user of the session. Raises NutError."""
        if self._name is None:
            raise NutError(NutCode.USERNAME_REQUIRED)
        if self._password is None:
            raise NutError(NutCode.PASSWORD_REQUIRED)
        user = await self._host.user(self._name, self._password, self.address)
        if user is None:
            raise NutError(NutCode.ACCESS_DENIED)
        self.proved = True
        return user

    async def _login(self, words: list[str]) -> str:
        return await self._attach(words, NutCode.ALREADY_LOGGED_IN)

    async def _attach(self, words: list[str], already: NutCode = NutCode.ALREADY_ATTACHED) -> str:
        """Count the client as a computer that the UPS feeds; the RFC has a new word for LOGIN."""
        (name,) = _just(words, 1)
        user = await self._user()
        if self.ups is not None:
            raise NutError(already)
        ups = self._host.upses[name]
        if user.upsmon is None:
            raise NutError(NutCode.ACCESS_DENIED)
        self.ups = ups.name
        return "OK"

    async def _logout(self, words: list[str]) -> str:
        _just(words, 0)
        self.leaving = True
        return "OK Goodbye"

    async def _primary_of(self, words: list[str]) -> Ups:
        (name,) = _just(words, 1)
        user, ups = await self._user(), self._host.upses[name]
        if user.upsmon != "primary":
            raise NutError(NutCode.ACCESS_DENIED)
        return ups

    async def _primary(self, words: list[str]) -> str:
        await self._primary_of(words)
        return "OK PRIMARY-GRANTED"

    async def _master(self, words: list[str]) -> str:
        await self._primary_of(words)
        return "OK MASTER-GRANTED"

    async def _fsd(self, words: list[str]) -> str:
        ups = await self._primary_of(words)
        ups.judge.force()
        return "OK FSD-SET"

    # -- what is asked

    async def _get(self, words: list[str]) -> str:
        what, *rest = words or [""]
        get = _GETS.get(what.upper())
        if get is None or len(rest) < get[0]:
            raise NutError(NutCode.INVALID_ARGUMENT)
        return get[1](self, rest)

    def _get_tracking(self, words: list[str]) -> str:
        if not words:
            return "ON" if self._tracks else "OFF"
        if not self._tracks:
            raise NutError(NutCode.FEATURE_NOT_CONFIGURED)
        return self._host.tracking.of(words[0])

    def _get_numlogins(self, words: list[str]) -> str:
        return self._number("NUMLOGINS", words[0])

    def _get_numattach(self, words: list[str]) -> str:
        return self._number("NUMATTACH", words[0])

    def _number(self, what: str, name: str) -> str:
        ups = self._host.upses[name]
        ups.status()
        return f"{what} {ups.name} {len(self._host.logged_in(ups.name))}"

    def _get_upsdesc(self, words: list[str]) -> str:
        ups = self._host.upses[words[0]]
        return f"UPSDESC {ups.name} {quoted(ups.description)}"

    def _get_var(self, words: list[str]) -> str:
        name, variable, *_ = words
        if variable.startswith("server."):
            return f"VAR {name} {variable} {quoted(_known(_OF_SERVER.get(variable)))}"
        ups = self._host.upses[name]
        value = ups.status() if variable == STATUS else _known(ups.variables().get(variable))
        return f"VAR {name} {variable} {quoted(value)}"

    def _get_type(self, words: list[str]) -> str:
        name, variable, *_ = words
        _known(self._host.upses[name].variables().get(variable))
        _, kind = _known(described(variable))
        return f"TYPE {name} {variable} {kind}"

    def _get_desc(self, words: list[str]) -> str:
        name, variable, *_ = words
        self._host.upses[name].status()
        told = described(variable)
        return f"DESC {name} {variable} {quoted(told[0] if told else _DESCRIBED)}"

    def _get_cmddesc(self, words: list[str]) -> str:
        name, command, *_ = words
        self._host.upses[name].status()
        told = NAMES.get(command)
        return f"CMDDESC {name} {command} {quoted(told[1] if told else _DESCRIBED)}"

    async def _list(self, words: list[str]) -> str:
        what, *rest = words or [""]
        lister = _LISTS.get(what.upper())
        if lister is None or len(rest) < lister[0]:
            raise NutError(NutCode.INVALID_ARGUMENT)
        asked = " ".join((what.upper(), *rest[: lister[0]]))
        rows = lister[1](self, rest)
        return "\n".join((f"BEGIN LIST {asked}", *rows, f"END LIST {asked}"))

    def _list_ups(self, words: list[str]) -> Iterable[str]:
        return [f"UPS {ups.name} {quoted(ups.description)}" for ups in self._host.upses.all()]

    def _list_var(self, words: list[str]) -> Iterable[str]:
        ups = self._host.upses[words[0]]
        return [f"VAR {ups.name} {name} {quoted(v)}" for name, v in ups.variables().items()]

    def _list_rw(self, words: list[str]) -> Iterable[str]:
        self._host.upses[words[0]].status()
        return ()

    def _list_cmd(self, words: list[str]) -> Iterable[str]:
        ups = self._host.upses[words[0]]
        ups.status()
        return [f"CMD {ups.name} {name}" for name in ups.commands]

    def _list_none(self, words: list[str]) -> Iterable[str]:
        """No variable can be set, so none has choices or a range."""
        _known(self._host.upses[words[0]].variables().get(words[1]))
        return ()

    def _list_client(self, words: list[str]) -> Iterable[str]:
        ups = self._host.upses[words[0]]
        return [f"CLIENT {ups.name} {each.address}" for each in self._host.logged_in(ups.name)]

    # -- what is done

    async def _set(self, words: list[str]) -> str:
        await self._user()
        what, *rest = words or [""]
        if what.upper() == "TRACKING" and len(rest) == 1 and rest[0].upper() in ("ON", "OFF"):
            self._tracks = rest[0].upper() == "ON"
            return "OK"
        if what.upper() != "VAR" or len(rest) < 3:
            raise NutError(NutCode.INVALID_ARGUMENT)
        _known(self._host.upses[rest[0]].variables().get(rest[1]))
        raise NutError(NutCode.READONLY)

    async def _instcmd(self, words: list[str]) -> str:
        _just(words, 2)  # no command of ours has a parameter, which must not be ignored
        user, ups = await self._user(), self._host.upses[words[0]]
        ups.status()
        found = ups.commands.get(words[1])
        if found is None:
            raise NutError(NutCode.CMD_NOT_SUPPORTED)
        command, kind = found
        if not allows(user.instcmds, words[1], kind):
            raise NutError(NutCode.ACCESS_DENIED)
        who = f"nut {user.name} {self.address}"
        if self._tracks:
            return f"OK TRACKING {self._host.tracked(ups.name, command, who)}"
        outcome = await self._host.command(ups.name, command, who)
        if outcome not in (Outcome.DONE, None):
            raise NutError(NutCode.INSTCMD_FAILED)
        return "OK"

    # -- the rest

    async def _starttls(self, words: list[str]) -> str:
        if self.tls:
            raise NutError(NutCode.ALREADY_TLS)
        if not self._host.has_tls:
            raise NutError(NutCode.FEATURE_NOT_CONFIGURED)
        self.starts_tls = True
        return "OK STARTTLS"

    async def _help(self, words: list[str]) -> str:
        return _HELP

    async def _ver(self, words: list[str]) -> str:
        return _SERVER

    async def _netver(self, words: list[str]) -> str:
        return PROTOCOL


def _known(value: _T | None) -> _T:
    if value is None:
        raise NutError(NutCode.VAR_NOT_SUPPORTED)
    return value


def _just(words: list[str], number: int) -> list[str]:
    """Return the arguments of a command that has exactly so many, none of them empty."""
    if len(words) != number or not all(words):
        raise NutError(NutCode.INVALID_ARGUMENT)
    return words


_COMMANDS: dict[str, Callable[[NutSession, list[str]], Awaitable[str]]] = {
    "ATTACH": NutSession._attach,
    "DETACH": NutSession._logout,
    "FSD": NutSession._fsd,
    "GET": NutSession._get,
    "HELP": NutSession._help,
    "INSTCMD": NutSession._instcmd,
    "LIST": NutSession._list,
    "LOGIN": NutSession._login,
    "LOGOUT": NutSession._logout,
    "MASTER": NutSession._master,
    "NETVER": NutSession._netver,
    "PASSWORD": NutSession._password_,
    "PRIMARY": NutSession._primary,
    "PROTVER": NutSession._netver,
    "SET": NutSession._set,
    "STARTTLS": NutSession._starttls,
    "USERNAME": NutSession._username,
    "VER": NutSession._ver,
}
_GETS: dict[str, tuple[int, Callable[[NutSession, list[str]], str]]] = {
    "CMDDESC": (2, NutSession._get_cmddesc),
    "DESC": (2, NutSession._get_desc),
    "NUMATTACH": (1, NutSession._get_numattach),
    "NUMLOGINS": (1, NutSession._get_numlogins),
    "TRACKING": (0, NutSession._get_tracking),
    "TYPE": (2, NutSession._get_type),
    "UPSDESC": (1, NutSession._get_upsdesc),
    "VAR": (2, NutSession._get_var),
}
_LISTS: dict[str, tuple[int, Callable[[NutSession, list[str]], Iterable[str]]]] = {
    "CLIENT": (1, NutSession._list_client),
    "CMD": (1, NutSession._list_cmd),
    "ENUM": (2, NutSession._list_none),
    "RANGE": (2, NutSession._list_none),
    "RW": (1, NutSession._list_rw),
    "UPS": (0, NutSession._list_ups),
    "VAR": (1, NutSession._list_var),
}
