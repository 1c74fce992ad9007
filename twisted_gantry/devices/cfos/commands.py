"""Executes the commands of a cFos Charging Manager.

Decisions: `docs/protocols/cfos.md`. Any answer to a write but "ok" is a failure. A call whose
answer is lost is not repeated. A command that cannot be undone needs `force`. A register that wears
the flash is not written in a loop.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.devices.cfos.channel import CfosChannel, WrongStatus
from twisted_gantry.devices.cfos.command_types import COMMANDS
from twisted_gantry.net.http.client import NoAnswer, NotConnected
from twisted_gantry.settings.sources import read_secret
from twisted_gantry.wire.cfos import calls
from twisted_gantry.wire.cfos.modbus import Write, decode_read, parse_read, parse_write, plan_write
from twisted_gantry.wire.cfos.registers import registers_of
from twisted_gantry.wire.cfos.users import MASKED, masked, masked_user, user
from twisted_gantry.wire.errors import BadMessage, CannotEncode, WireError
from twisted_gantry.wire.json import salvage
from twisted_gantry.wire.reading import Value
from twisted_gantry.wire.secret import Secret

__all__ = ["COMMANDS", "ManagerCommands"]

# Seconds between two writes to a register that wears the flash: at that pace its 100,000 writes
# last for months, and a write in a loop fails visibly.
WEAR_PAUSE = 60.0
# Characters of JSON in one argument: as much as a setting of one device needs.
LONGEST_JSON = 10_000
LONGEST_CURRENT = 80_000  # mA
# Characters shown of an answer to a call with a secret; a secret has at most 64.
LONGEST_GUARDED = 100

_RFID = re.compile(r"[0-9A-Za-z]{1,64}")
# Keys of settings whose values are secrets: in an argument they would reach the audit.
FIXED_RFID = "fixed_rfid"
_SECRET_KEY = re.compile(r"passw|pwd|secret|rfid", re.IGNORECASE)


class Wrong(Exception):
    """A command that is refused before it is sent; the text says why."""


def _done(value: Value = None, detail: str = "") -> CommandResult:
    return CommandResult(Outcome.DONE, detail, value)


class ManagerCommands:
    """Executes commands. `look_again` asks for a poll at once, which shows the effect of a write.
    The command `x-y` is the method `_x_y`.
    """

    def __init__(
        self,
        channel: CfosChannel,
        clock: IReactorTime,
        look_again: Callable[[], None],
        in_thread: Callable[..., Deferred[Any]],
    ) -> None:
        self._in_thread = in_thread
        self._channel, self._clock, self._look_again = channel, clock, look_again
        self._written: dict[tuple[str, int], float] = {}
        self._do: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[CommandResult]]] = {
            name: getattr(self, f"_{name.replace('-', '_')}") for name in COMMANDS
        }

    async def execute(self, command: str, args: Mapping[str, Any]) -> CommandResult:
        given = {name: value for name, value in args.items() if value is not None}
        try:
            return await self._do[command](given)
        except Wrong as error:
            return CommandResult(Outcome.REFUSED, str(error))
        except CannotEncode as error:
            return CommandResult(Outcome.REFUSED, f"it cannot be sent: {error}")
        except NotConnected as error:
            return CommandResult(Outcome.FAILED, f"not sent: {error}")
        except NoAnswer as error:
            if command in _READS or (command == "soft-meter" and "val" not in given):
                return CommandResult(Outcome.FAILED, str(error))
            # The outcome is unknown, so the call is not repeated.
            return CommandResult(Outcome.TIMEOUT, f"{error}; the next reading shows what happened")
        except WrongStatus as error:
            return CommandResult(Outcome.FAILED, str(error))
        except WireError as error:
            return CommandResult(Outcome.FAILED, _guarded(str(error), _secrets(command, given)))

    async def _ask(self, what: calls.Call) -> Any:
        return salvage(await self._channel.ask(what)).value

    async def _write(self, what: calls.Call) -> CommandResult:
        """Make a call whose only good answer is "ok"."""
        calls.expect_ok(await self._channel.ask(what))
        self._look_again()
        return _done("ok")

    async def _override(self, args: Mapping[str, Any]) -> CommandResult:
        chosen = {name: args[name] for name in ("flags", "mamps", "rfid") if name in args}
        given = {**_device(args, "E"), **chosen}
        flags = str(given.get("flags", ""))
        if not calls.FLAGS.issuperset(flags):
            raise Wrong(f"flags are letters of {''.join(sorted(calls.FLAGS))}")
        if any(letter.swapcase() in flags for letter in flags):
            raise Wrong("flags that switch the same off and on")
        if not flags and "mamps" not in given:
            raise Wrong("neither flags nor mamps: nothing to override")
        if not 0 <= given.get("mamps", 0) <= LONGEST_CURRENT:
            raise Wrong(f"mamps are 0 to {LONGEST_CURRENT}")
        _check_rfid(given)
        return await self._write(calls.call("override_device", given))

    async def _enter_rfid(self, args: Mapping[str, Any]) -> CommandResult:
        _check_rfid(args)
        device = _device(args, "E") if "dev_id" in args else {}
        return await self._write(calls.call("enter_rfid", {"rfid": args["rfid"], **device}))

    async def _soft_meter(self, args: Mapping[str, Any]) -> CommandResult:
        value = args.get("val")
        if value is not None and not 0 <= value < 1e12:
            raise Wrong("val is Wh, 0 or more")
        given = {**_device(args, "E"), "val": None if value is None else f"{value:.15g}"}
        before = calls.expect_number(await self._ask(calls.call("soft_meter", given)))
        if value is not None:
            self._look_again()
        return _done(before, "the reading before, Wh" if value is not None else "Wh")

    async def _read_register(self, args: Mapping[str, Any]) -> CommandResult:
        device, count = str(args["device"]), args.get("count")
        try:
            registers_of(device)
            read = parse_read(str(args["read"]), None if count is None else str(count))
        except WireError as error:
            raise Wrong(str(error)) from None
        answer = decode_read(read, await self._ask(calls.modbus(device, read)))
        return _done(answer if isinstance(answer, int | str) else _json(answer))

    async def _write_register(self, args: Mapping[str, Any]) -> CommandResult:
        device, value, values = str(args["device"]), args.get("value"), args.get("values")
        try:
            registers = registers_of(device)
            write = parse_write(
                str(args["write"]),
                None if value is None else str(value),
                None if values is None else _json(values),
            )
            plan_write(write, registers)
        except WireError as error:
            raise Wrong(str(error)) from None
        if not write.wears:
            return await self._write(calls.modbus(device, write))
        cells = [(device, address) for address in write.addresses]
        self._spare(cells, write)
        try:
            return await self._write(calls.modbus(device, write))
        except NotConnected:
            for cell in cells:  # a write that was not sent wears nothing
                del self._written[cell]
            raise

    def _spare(self, cells: list[tuple[str, int]], write: Write) -> None:
        """Raise Wrong for cells of the flash that were written less than WEAR_PAUSE ago."""
        now = self._clock.seconds()
        waits = [self._written[cell] + WEAR_PAUSE - now for cell in cells if cell in self._written]
        if max(waits, default=0) > 0:
            raise Wrong(
                f"a write to {write.address} wears the device's flash, and it was written less "
                f"than {WEAR_PAUSE:g} s ago; wait {max(waits):.0f} s"
            )
        self._written |= dict.fromkeys(cells, now)

    async def _feed_meter(self, args: Mapping[str, Any]) -> CommandResult:
        device = _device(args, "M")
        feed = _checked(calls.meter_feed, {n: v for n, v in args.items() if n != "dev_id"})
        return await self._write(calls.call("set_ajax_meter", device, feed))

    async def _feed_evse(self, args: Mapping[str, Any]) -> CommandResult:
        device = _device(args, "E")
        feed = _checked(calls.evse_feed, {n: v for n, v in args.items() if n != "dev_id"})
        control = calls.decode_control(await self._ask(calls.call("set_ajax_evse", device, feed)))
        return _done(_json(control), "what the EVSE must do")

    async def _set_params(self, args: Mapping[str, Any]) -> CommandResult:
        params = args["params"]
        if not params:
            raise Wrong("params are empty")
        _bounded("params", params)
        for key, value in _every_key(params):
            if key == "disable_policy":
                _check_policy(value, force=bool(args.get("force")))
            elif value != "" and _SECRET_KEY.search(key) and not _named(key, value):
                hint = ': name it by {"env": …} or {"file": …}' if key == FIXED_RFID else ""
                raise Wrong(f"{key[:40]!r} is a secret, and this is kept in the audit{hint}")
        devices = params.get("devices")
        if isinstance(devices, list) and len(devices) > 1:
            raise Wrong("the manager takes one device at a time")
        secrets: set[str] = set()
        revealed = await self._revealed(params, secrets)
        try:
            return await self._write(calls.call("set_params", body=revealed))
        except WireError as error:
            return CommandResult(Outcome.FAILED, _guarded(str(error), secrets))

    async def _revealed(self, node: Any, secrets: set[str]) -> Any:
        """Return parameters with each RFID that was named in its place; `secrets` gains them."""
        if isinstance(node, list):
            return [await self._revealed(each, secrets) for each in node]
        if not isinstance(node, dict):
            return node
        revealed = {}
        for key, value in node.items():
            if _named(str(key).strip().lower(), value):
                revealed[key] = await self._secret(value)
                secrets.add(revealed[key])
            else:
                revealed[key] = await self._revealed(value, secrets)
        return revealed

    async def _secret(self, named: Any) -> str:
        try:
            secret: Secret = await self._in_thread(read_secret, Path(), named)
        except ValueError as error:
            raise Wrong(f"{FIXED_RFID}: {error}") from None
        text = secret.reveal()
        if not _RFID.fullmatch(text):  # also: no other file of this computer goes out
            raise Wrong(f"{FIXED_RFID} is no RFID: 1 to 64 digits or letters")
        return text

    async def _get_params(self, args: Mapping[str, Any]) -> CommandResult:
        answer = calls.expect(dict, await self._ask(calls.call("get_params")))
        return _done(_json(_hidden(answer)))

    async def _get_user(self, args: Mapping[str, Any]) -> CommandResult:
        answer = await self._ask(calls.call("get_user", {"id": args["id"]}))
        return _done(_json(masked_user(answer)))

    async def _get_users(self, args: Mapping[str, Any]) -> CommandResult:
        return _done(_json(masked(await self._ask(calls.call("get_users")))))

    async def _set_user(self, args: Mapping[str, Any]) -> CommandResult:
        given = dict(args)
        _bounded("the user", given)
        if any(isinstance(r, dict) and r.get("id") == MASKED for r in given.get("rfids", [])):
            raise Wrong(f"{MASKED} is no RFID: name it in full, or leave rfids out")
        checked = _checked(user, given)
        if not checked.id:
            answer = await self._ask(calls.call("get_new_user_id"))
            if not (isinstance(answer, str | int) and re.fullmatch(r"[0-9]{1,20}", str(answer))):
                raise calls.CfosRefused(calls.words(answer))
            given["id"] = str(answer)
        await self._write(calls.call("set_user", body=given))
        return _done(str(given["id"]))

    async def _set_diag_logging(self, args: Mapping[str, Any]) -> CommandResult:
        return await self._write(calls.call("set_diag_logging", {"enable": args["enable"]}))

    async def _accept_license(self, args: Mapping[str, Any]) -> CommandResult:
        given = {"acc": args.get("acc", True), "allow_usage_stats": args["allow_usage_stats"]}
        return await self._write(calls.call("accept_license", given))

    async def _reset_device(self, args: Mapping[str, Any]) -> CommandResult:
        _forced(args, "deletes the device and makes it anew")
        return await self._write(calls.call("reset_device", _device(args)))

    async def _delete_device(self, args: Mapping[str, Any]) -> CommandResult:
        _forced(args, "deletes the device")
        return await self._write(calls.call("del_device", _device(args)))

    async def _change_admin_password(self, args: Mapping[str, Any]) -> CommandResult:
        credentials, new = self._channel.credentials, Secret(str(args["new_pwd"]))
        current = credentials.password
        old = str(args.get("old_pwd") or (current.reveal() if current else ""))
        if not old:
            raise Wrong("old_pwd is missing, and none is configured")
        what = calls.call("change_admin_pwd", {"old_pwd": old, "new_pwd": new.reveal()})
        # Until an answer tells, either password may hold.
        credentials.doubt(new)
        try:
            calls.expect_ok(await self._channel.ask(what))
        except (WireError, WrongStatus) as error:
            told = not isinstance(error, WrongStatus) or error.status == 401
            if told and credentials.password == current:
                credentials.doubt(None)
            return CommandResult(Outcome.FAILED, _guarded(str(error), {old, new.reveal()}))
        credentials.adopt(new)
        return _done(detail="write it into the configuration before the next start")


_READS = frozenset({"read-register", "get-params", "get-user", "get-users"})


def _device(args: Mapping[str, Any], letter: str = "EM") -> dict[str, str]:
    which = str(args["dev_id"])
    if not (calls.DEVICE_ID.fullmatch(which) and which[0] in letter):
        like = " or ".join(f"{each}1" for each in letter)
        raise Wrong(f"dev_id is like {like}")
    return {"dev_id": which}


def _check_rfid(args: Mapping[str, Any]) -> None:
    if "rfid" in args and not _RFID.fullmatch(str(args["rfid"])):
        raise Wrong("an RFID or PIN is 1 to 64 digits or letters")


def _check_policy(value: Any, *, force: bool) -> None:
    known = {str(int(each)): each for each in calls.DisablePolicy}
    policy = known.get(str(value).strip())
    if policy is None:
        raise Wrong("disable_policy is 0, 1 or -1")
    if policy is calls.DisablePolicy.UNLIMITED and not force:
        raise Wrong("disable_policy -1 takes the current limit away: it needs force")


def _forced(args: Mapping[str, Any], harm: str) -> None:
    if args.get("force") is not True:
        raise Wrong(f"it {harm}: it needs force")


def _checked(read: Callable[[Any], Any], fields: dict[str, Any]) -> Any:
    """Return the message that `read` makes of arguments. Raises Wrong."""
    try:
        return read(fields)
    except BadMessage as error:
        raise Wrong(str(error)) from None


def _named(key: str, value: Any) -> bool:
    """Tell whether a parameter names an RFID that is not in the command itself."""
    named = isinstance(value, dict) and set(value) in ({"env"}, {"file"})
    return named and key == FIXED_RFID


def _hidden(node: Any) -> Any:
    """Return an answer without the values of keys that hold secrets."""
    if isinstance(node, list):
        return [_hidden(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: MASKED if value and _SECRET_KEY.search(str(key)) else _hidden(value)
        for key, value in node.items()
    }


def _every_key(node: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            found += [(str(key).strip().lower(), value) for key, value in each.items()]
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return found


def _bounded(what: str, value: Any) -> None:
    if len(_json(value)) > LONGEST_JSON:
        raise Wrong(f"{what} has over {LONGEST_JSON} characters of JSON")


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Wrong(f"no JSON can carry this: {type(error).__name__}") from None


def _secrets(command: str, args: Mapping[str, Any]) -> set[str]:
    arguments = COMMANDS[command].arguments
    waiting = [value for name, value in args.items() if arguments[name].secret]
    found: set[str] = set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list):
            waiting += [each.get("id")] if isinstance(each, dict) else each
        elif isinstance(each, str | int | float) and not isinstance(each, bool):
            found.add(str(each))
    return found - {""}


def _guarded(text: str, secrets: set[str]) -> str:
    """Return the words of the manager, unless they repeat a secret. With secrets in the command
    only the beginning is shown: a text that `words` cut may end within a secret.
    """
    if not secrets:
        return text
    if any(form in text for each in secrets for form in (each, quote(each), repr(each)[1:-1])):
        return "the manager refuses it; its words hold a secret, and are not shown"
    return text[:LONGEST_GUARDED]
