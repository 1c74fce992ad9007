"""The outcomes of commands that a client asks for later, by the id that it was given."""

from collections import OrderedDict

from twisted_gantry.core.commands.types import Outcome

MOST_TRACKED = 256
"""Commands that are remembered; upsd forgets after an hour, and a bound does the same."""

_ANSWERS = {Outcome.DONE: "SUCCESS", Outcome.TIMEOUT: "ERR UNKNOWN"}


class Tracking:
    def __init__(self) -> None:
        self._outcomes: OrderedDict[str, Outcome | None] = OrderedDict()

    def begin(self, id_: str) -> None:
        self._outcomes[id_] = None
        if len(self._outcomes) > MOST_TRACKED:
            self._outcomes.popitem(last=False)

    def end(self, id_: str, outcome: Outcome) -> None:
        if id_ in self._outcomes:
            self._outcomes[id_] = outcome

    def of(self, id_: str) -> str:
        """Return the answer to `GET TRACKING id`."""
        if id_ not in self._outcomes:
            return "ERR UNKNOWN"
        outcome = self._outcomes[id_]
        return "PENDING" if outcome is None else _ANSWERS.get(outcome, "ERR FAILED")
