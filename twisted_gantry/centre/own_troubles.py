"""What this process suffers from, in memory: also while the database cannot be asked."""

from collections.abc import Callable, Iterator

from twisted_gantry.centre.store.troubles import Found

STORE = "centre.store"
"""The name of the fault that the database does not take what is to be stored."""


def failing(duty: str) -> str:
    """Return the name of the fault that a duty fails."""
    return f"duty.{duty}.failing"


class OwnTroubles:
    """The faults of this process by name. `now` returns Unix seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._found: dict[str, tuple[Found, float]] = {}
        self._subscribers: list[Callable[[], object]] = []

    def __iter__(self) -> Iterator[Found]:
        return (found for found, _ in list(self._found.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def get(self, name: str) -> tuple[Found, float] | None:
        """Return a fault, and since when it is known in Unix seconds; None if there is none."""
        return self._found.get(name)

    def since(self, name: str) -> float:
        """Return when a fault began, in Unix seconds of this computer. Raises KeyError."""
        return self._found[name][1]

    def set(self, found: Found) -> None:
        """Note a fault, or what is new about it."""
        known = self._found.get(found.name)
        if known is None or known[0] != found:
            self._found[found.name] = (found, self._now() if known is None else known[1])
            self._tell()

    def clear(self, name: str) -> None:
        """Note that a fault is over; nothing happens if there was none."""
        if self._found.pop(name, None) is not None:
            self._tell()

    def put(self, name: str, found: Found | None) -> None:
        """Note the fault `name`, or that it is over."""
        if found is None:
            self.clear(name)
        else:
            self.set(found)

    def subscribe(self, subscriber: Callable[[], object]) -> Callable[[], None]:
        """Call `subscriber` at each change; returns the end."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def _tell(self) -> None:
        for each in list(self._subscribers):
            each()
