"""The load of a UPS, phase by phase: named appliances, and the rest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from twisted_gantry.twin.world.mains import PHASES
from twisted_gantry.twin.world.variables import Variable, Variables, choice, number

RATED_VA = 10_000.0
POWER_FACTOR = 0.8  # of the load: W for each VA

PHASES_IN_OUT = {"3/3": (PHASES, PHASES), "3/1": (PHASES, ("r",)), "1/1": (("r",), ("r",))}
MOST_W = 50_000.0  # a limit of what can be set
USUAL_W = {"r": 533.0, "s": 800.0, "t": 667.0}  # 20, 30 and 25 %


@dataclass
class Appliance:
    name: str
    phase: str
    watts: float
    on: bool = True

    @property
    def drawn_w(self) -> float:
        return self.watts if self.on else 0.0


class Load:
    """The phases of a UPS, in and out, and the W that each output takes while it has power.

    Where a phase is set to more than its appliances take, the rest is another load. Where it is set
    to less, its appliances work at a part of their power.
    """

    def __init__(self, appliances: tuple[Appliance, ...] = ()) -> None:
        self.appliances = appliances
        self._phases = "3/3"
        self._rest_w = dict(USUAL_W if not appliances else dict.fromkeys(PHASES, 0.0))
        self._share = dict.fromkeys(PHASES, 1.0)
        self._on_phase = self._spread()

    @property
    def phases(self) -> str:
        """`3/3`, `3/1` or `1/1`, in and out; a change spreads the load over the new outputs."""
        return self._phases

    @phases.setter
    def phases(self, phases: str) -> None:
        total = self.total_w
        self._phases = phases
        self._on_phase = self._spread()
        self.total_w = total

    @property
    def inputs(self) -> tuple[str, ...]:
        return PHASES_IN_OUT[self._phases][0]

    @property
    def outputs(self) -> tuple[str, ...]:
        return PHASES_IN_OUT[self._phases][1]

    @property
    def total_w(self) -> float:
        """The sum of the outputs, in W; a new value is spread evenly."""
        return sum(self.of(phase) for phase in self.outputs)

    @total_w.setter
    def total_w(self, watts: float) -> None:
        for phase in self.outputs:
            self.put(phase, watts / len(self.outputs))

    def of(self, phase: str) -> float:
        """Return the load of one phase, in W; 0 for a phase that is no output."""
        if phase not in self._on_phase:
            return 0.0
        return self._share[phase] * self._named_w(phase) + self._rest_w[phase]

    def put(self, phase: str, watts: float) -> None:
        named_w = self._named_w(phase)
        self._share[phase] = 1.0 if watts >= named_w else watts / named_w
        self._rest_w[phase] = max(watts - named_w, 0.0)

    def taken_w(self, appliance: Appliance) -> float:
        phase = appliance.phase if appliance.phase in self._on_phase else self.outputs[0]
        return self._share[phase] * appliance.drawn_w

    def percent(self, phase: str) -> float:
        return self.of(phase) * len(self.outputs) / (RATED_VA * POWER_FACTOR) * 100

    @property
    def highest_percent(self) -> float:
        return max(self.percent(phase) for phase in self.outputs)

    def variables(self) -> Variables:
        yield "phases", choice(self, "phases", PHASES_IN_OUT)
        yield "load_w", number(self, "total_w", 0, MOST_W)
        for phase in PHASES:
            get, put = partial(self.of, phase), partial(self.put, phase)
            yield f"load_w_{phase}", Variable(get, put, 0, MOST_W)

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        phases = values.get("phases", self.phases)
        outputs = PHASES_IN_OUT.get(str(phases), (PHASES, PHASES))[1]
        for phase in PHASES:
            if phase not in outputs and f"load_w_{phase}" in values:
                yield f"load_w_{phase}: a UPS {phases} has no such output"

    def _named_w(self, phase: str) -> float:
        return sum((each.drawn_w for each in self._on_phase[phase]), 0.0)

    def _spread(self) -> dict[str, list[Appliance]]:
        outputs = self.outputs
        spread: dict[str, list[Appliance]] = {phase: [] for phase in outputs}
        for each in self.appliances:
            spread[each.phase if each.phase in spread else outputs[0]].append(each)
        return spread
