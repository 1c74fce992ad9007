"""What a person sees and commands: all gantries, or those of some roads. The one place for that.

What lies outside answers as if it did not exist (404). What concerns all roads, or names another
one, is forbidden (403).
"""

from dataclasses import dataclass

from twisted_gantry.access.people import Person
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import registry
from twisted_gantry.net.http.json import HttpError


@dataclass(frozen=True, slots=True)
class Scope:
    """`roads` are those that are seen, None for all; queries take them as they are."""

    roads: frozenset[str] | None = None

    @classmethod
    def of(cls, person: Person) -> "Scope":
        return cls(person.roads)

    def has(self, road: str) -> bool:
        """Tell whether a road is within; a gantry without a road is within no scope of roads."""
        return self.roads is None or road in self.roads

    def check_road(self, road: str) -> None:
        """Refuse to change what is of another road, or of all for an empty `road`. Raises HttpError
        (403).
        """
        if not self.has(road):
            if not road:
                raise HttpError(403, "other-road", "this is for those who see all roads")
            raise HttpError(403, "other-road", f"the road {road[:40]!r} is not yours")

    def check_whole(self) -> None:
        """Refuse what concerns all roads. Raises HttpError (403)."""
        self.check_road("")

    def gantry(self, session: Session, gantry_id: str) -> Gantry:
        """Return a gantry of the registry, without its secrets. Raises HttpError (404) for one that
        is unknown or outside.
        """
        found = registry.gantry(session, gantry_id)
        if found is None or not self.has(found.road):
            raise HttpError(404, "no-such-gantry", f"there is no gantry {gantry_id[:40]!r}")
        return found
