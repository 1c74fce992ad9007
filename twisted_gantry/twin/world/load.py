"""What is connected to a UPS, phase by phase."""

from twisted_gantry.twin.world.mains import PHASES

RATED_VA = 10_000.0
POWER_FACTOR = 0.8  # of the load: W for each VA

PHASES_IN_OUT = {"3/3": (PHASES, PHASES), "3/1": (PHASES, ("r",)), "1/1": (("r",), ("r",))}


class Load:
    """The phases of a UPS, in and out, and the W that each phase out would take when fed."""

    def __init__(self) -> None:
        self._phases = "3/3"
        self._watts = {"r": 533.0, "s": 800.0, "t": 667.0}  # 20, 30 and 25 %

    @property
    def phases(self) -> str:
        """`3/3`, `3/1` or `1/1`; a change spreads the load over the phases that then go out."""
        return self._phases

    @phases.setter
    def phases(self, phases: str) -> None:
        total = self.total_w
        self._phases = phases
        self.total_w = total

    @property
    def inputs(self) -> tuple[str, ...]:
        """The phases that come in."""
        return PHASES_IN_OUT[self._phases][0]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The phases that go out."""
        return PHASES_IN_OUT[self._phases][1]

    @property
    def total_w(self) -> float:
        """All of it, in W; setting it spreads it evenly."""
        return sum(self._watts.values())

    @total_w.setter
    def total_w(self, watts: float) -> None:
        self._watts = dict.fromkeys(self.outputs, watts / len(self.outputs))

    def of(self, phase: str) -> float:
        """Return the load of one phase, in W; 0 where there is none."""
        return self._watts.get(phase, 0.0)

    def put(self, phase: str, watts: float) -> None:
        """Connect `watts` to one of `outputs`."""
        self._watts[phase] = watts

    def percent(self, phase: str) -> float:
        """Return the load of a phase, in % of what is rated for it."""
        return self.of(phase) * len(self.outputs) / (RATED_VA * POWER_FACTOR) * 100

    @property
    def highest_percent(self) -> float:
        """The load of the phase that has most, in %."""
        return max(self.percent(phase) for phase in self.outputs)
