"""A diagnosis on the screen: a line for each step as it ends, then what to do."""

from rich.text import Text

from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.output import plain
from twisted_gantry.ctl.session import Session
from twisted_gantry.wire.local_diagnosis import DiagnosisView

_MARKS = {"ok": ("✓", "green"), "failed": ("✗", "bold red"), "skipped": ("–", "dim")}
_NAMES = {
    "name": "step-name",
    "connect": "step-connect",
    "tls": "step-tls",
    "exchange": "step-exchange",
}
# Causes by which the peer was not reached, and by which it said nothing of use in time.
_UNREACHED = {"name-unknown", "no-route", "refused", "connect-timeout", "tls"}
_UNKNOWN = {"silent", "busy", "no-upload"}


class Steps:
    """Shows each step once, when it has ended."""

    def __init__(self, session: Session) -> None:
        self._session, self._shown = session, 0

    def show(self, diagnosis: DiagnosisView) -> None:
        """Show the steps that have ended since the last call; nothing with --json."""
        if self._session.json:
            return
        texts = self._session.texts
        for step in diagnosis.steps[self._shown :]:
            if step.outcome not in _MARKS:
                return
            self._shown += 1
            mark, style = _MARKS[step.outcome]
            said = plain(texts.pick(step.message, step.message_zh or step.message))
            cause = f" [{plain(step.cause)}]" if step.cause else ""
            seconds = f"{step.seconds:5.2f} s" if step.outcome != "skipped" else " " * 7
            name = texts(_NAMES[step.step]) if step.step in _NAMES else plain(step.step)
            self._session.show(Text(f"{mark} {name}  {seconds}  {said}{cause}", style))
            advice = texts.pick(step.advice or "", step.advice_zh or "")
            if advice:
                self._session.show(Text(f"  → {plain(advice)}"))


def exit_of(diagnosis: DiagnosisView) -> Exit:
    """Return the exit code of a diagnosis that has ended."""
    if diagnosis.ok:
        return Exit.FINE
    if diagnosis.cause in _UNREACHED:
        return Exit.UNREACHABLE
    return Exit.UNKNOWN if diagnosis.cause in _UNKNOWN else Exit.WRONG
