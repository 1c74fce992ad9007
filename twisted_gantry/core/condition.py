"""A condition on one point, as a configuration says it: of an interlock, of an own alarm."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted_gantry.wire.reading import Value

_CONDITION = re.compile(
    r"(?P<point>[^\s<>=!]+)(\s*(?P<sign><=|>=|==|!=|<|>)\s*(?P<bound>[^<>=!]*[^<>=!\s]))?"
)
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda value, bound: bool(value < bound),
    "<=": lambda value, bound: bool(value <= bound),
    ">": lambda value, bound: bool(value > bound),
    ">=": lambda value, bound: bool(value >= bound),
    "==": lambda value, bound: bool(value == bound),
    "!=": lambda value, bound: bool(value != bound),
}


@dataclass(frozen=True)
class Condition:
    """`ups1.mains_abnormal`, which must be true, or a comparison: `ups1.battery_charge < 30`."""

    point: str
    sign: str = "=="
    bound: Value = True

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Parse a condition. Raises ValueError."""
        match = _CONDITION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"no condition such as ups1.battery_charge < 30: {text!r}")
        if match["sign"] is None:
            return cls(match["point"])
        bound = _bound(match["bound"])
        if isinstance(bound, bool | str) and match["sign"] not in ("==", "!="):
            raise ValueError(f"{match['sign']} compares numbers: {text!r}")
        return cls(match["point"], match["sign"], bound)

    @property
    def text(self) -> str:
        """The condition as a configuration says it."""
        if self.sign == "==" and self.bound is True:
            return self.point
        bound = str(self.bound).lower() if isinstance(self.bound, bool) else self.bound
        shown = f"{bound:g}" if isinstance(bound, float) else bound
        return f"{self.point} {self.sign} {shown}"

    def holds(self, value: Value) -> bool | None:
        """Tell whether a value fulfils the condition; None for a missing one or another type."""
        numbers = (int, float)
        alike = type(value) is type(self.bound) or (
            isinstance(value, numbers)
            and isinstance(self.bound, numbers)
            and bool not in (type(value), type(self.bound))
        )
        return _SIGNS[self.sign](value, self.bound) if alike else None

    def overlap(self, other: "Condition") -> Value:
        """Return a value of the point that fulfils both conditions; None without one, or for
        conditions on two points.
        """
        if self.point != other.point:
            return None
        tried: list[Value] = [True, False]
        bounds = [self.bound, other.bound]
        numbers = [each for each in bounds if isinstance(each, float)]
        tried += [each + step for each in numbers for step in (0.0, -1.0, 1.0)]
        tried += [sum(numbers) / 2] if len(numbers) == 2 else []
        texts = [each for each in bounds if isinstance(each, str)]
        tried += [*texts, "".join(texts) + "?"]  # and one that is none of them
        fits = (each for each in tried if self.holds(each) and other.holds(each))
        return next(fits, None)


def _bound(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text):
        return float(text)
    return text.strip("\"'")
