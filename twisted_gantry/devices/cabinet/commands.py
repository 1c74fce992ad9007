"""Executes the commands of a smart cabinet; none is repeated when its answer is lost.

Arguments carry the document's names. Source: the ETC document, section 3.2.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from attrs import define

from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.core.interfaces import NotTold, Picture
from twisted_gantry.net.http.client import NoAnswer, NotConnected
from twisted_gantry.remote.channel import TROUBLE, ControlChannel, TurnedDown, code_of
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc import commands as etc
from twisted_gantry.wire.etc.controls import (
    BATTERY_TEST_RESULT,
    CONTROLS,
    SET_FREQUENCY,
    SET_SERVER,
    UPDATE_NOW,
    ControlType,
)
from twisted_gantry.wire.etc.envelope import Answer, EtcCode, number
from twisted_gantry.wire.etc.pictures import PictureFile

POWER_MODE_COMMAND = "power-mode"
_NOT_OURS = {"power-cycle", BATTERY_TEST_RESULT}
"""A relay is in no cabinet, and a question is no command."""


def _command_type(name: str, control: ControlType) -> CommandType:
    # Commands of one `about` set the same thing; a second battery test does harm.
    return CommandType(
        {
            key: Argument(
                (int if key == "setFrequency" else float) if each.number else str,
                required=each.required,
                longest=each.longest,
                choices=each.choices,
                subject=key == "unlockDoorId",
            )
            for key, each in control.fields.items()
        },
        control.en,
        control.zh,
        about="air" if name in {"air-conditioner", POWER_MODE_COMMAND} else "",
        once=name == "battery-test",
        endangers=Endangers(control.endangers) if control.endangers else None,
        danger=control.danger,
        danger_zh=control.danger_zh,
        local_only=name == SET_SERVER,
    )


COMMANDS: Mapping[str, CommandType] = {
    name: _command_type(name, each) for name, each in CONTROLS.items() if name not in _NOT_OURS
}

# The document gives these no `cabinetId`.
_WHOLE_GANTRY = frozenset({etc.Cmd.POWER_MODE, etc.Cmd.DOOR_GUARD})


def control_of(command: str, args: Mapping[str, Any], cabinet_id: str) -> etc.EtcControl:
    """Return the message for a command whose arguments fit its type. Raises BadMessage."""
    if command == UPDATE_NOW:
        return etc.EtcControl(update_now=True)
    if command == SET_FREQUENCY:
        return etc.EtcControl(set_frequency=etc.frequency(args["setFrequency"]))
    if command == SET_SERVER:
        etc.server_url(args["setServer"], "http")
        return etc.EtcControl(set_server=args["setServer"])
    cmd = CONTROLS[command].cmd
    assert cmd is not None
    fields = {name: each if isinstance(each, str) else number(each) for name, each in args.items()}
    if "airId" in COMMANDS[command].arguments:
        air_id = fields.setdefault("airId", etc.ALL_AIR_CONDITIONERS)
        if not (air_id.isascii() and air_id.isdigit()):
            raise BadMessage("airId is no number")
    if cmd is etc.Cmd.AIR_CONDITIONER_TEMPERATURE:
        points = [fields.get(each) for each in etc.SET_POINTS]
        etc.check_set_points(*(None if each is None else float(each) for each in points))
    addressed = None if cmd in _WHOLE_GANTRY else cabinet_id
    return etc.EtcControl(command=etc.EtcCommand(cmd, addressed, fields))


@define(eq=False)
class CabinetCommands:
    """Executes commands. `answered` is told of each answer, `period_set` of the seconds that the
    cabinet took with `set-frequency`; `look_again` asks for an upload.
    """

    _channel: ControlChannel
    _cabinet_id: str
    _answered: Callable[[Answer], None]
    _look_again: Callable[[], None]
    _period_set: Callable[[float], None]

    async def execute(self, command: str, args: Mapping[str, Any]) -> CommandResult:
        try:
            control = control_of(command, args, self._cabinet_id)
        except BadMessage as error:
            return CommandResult(Outcome.REFUSED, str(error))
        try:
            answer = await self._channel.tell(control)
        except TurnedDown as error:
            return CommandResult(Outcome.FAILED, str(error))
        except NotConnected as error:
            return CommandResult(Outcome.FAILED, f"not sent: {error}")
        except NoAnswer as error:
            # The outcome is unknown, so the command is not repeated.
            return CommandResult(Outcome.TIMEOUT, f"{error}; the next upload shows what happened")
        finally:
            if command != UPDATE_NOW:
                self._look_again()
        self._answered(answer)
        if code_of(answer) is EtcCode.SUCCESS:
            if control.set_frequency is not None:
                self._period_set(control.set_frequency)
            return CommandResult(Outcome.DONE)
        return CommandResult(Outcome.FAILED, f"the cabinet answers {self._channel.words(answer)}")

    async def picture(self, opened: str) -> Picture | None:
        """Return the picture of a door that opened at `opened`. Raises NotTold."""
        try:
            answer = await self._channel.ask_picture(self._cabinet_id, opened)
        except TROUBLE as error:
            raise NotTold(str(error)) from None
        if isinstance(answer, PictureFile):
            return Picture(answer.name, answer.content)
        self._answered(answer)
        if code_of(answer) is EtcCode.NO_PICTURE:
            return None
        raise NotTold(f"the cabinet answers {self._channel.words(answer)}")

    async def battery_test_result(self) -> Mapping[str, str]:
        """Return the result of the last battery test. Raises NotTold."""
        question = etc.EtcCommand(etc.Cmd.BATTERY_TEST_RESULT, self._cabinet_id, {})
        try:
            answer = await self._channel.tell(etc.EtcControl(command=question))
        except TROUBLE as error:
            raise NotTold(str(error)) from None
        self._answered(answer)
        if code_of(answer) is not EtcCode.SUCCESS:
            raise NotTold(f"the cabinet answers {self._channel.words(answer)}")
        try:
            result = etc.decode_battery_result(answer.batterys_test_result)
        except BadMessage as error:
            raise NotTold(str(error)) from None
        fields: dict[str, str] = msgspec.to_builtins(result)
        return fields
