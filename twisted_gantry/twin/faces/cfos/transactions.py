"""The transaction of a car: its user, overrides and charging rules, as in the cFos document."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from twisted_gantry.wire.cfos.users import MAX_USERS, ChargingRule, Rfid, RuleMode, User

_DAY_MIN = 24 * 60
# The bits of `overrides` in firmwares since 1.14.
_OVERRIDES = {"C": 1, "E": 2, "U": 4}
FIRST_USER_ID = 2_167_520_770  # from the document's example


@dataclass
class Transaction:
    """From the arrival of a car until it leaves; `off` has the override flags in force."""

    off: set[str] = field(default_factory=set)
    limit_ma: float | None = None
    user: User | None = None
    rfid: Rfid | None = None

    @property
    def overrides(self) -> int:
        return sum(_OVERRIDES[letter] for letter in self.off)

    def set_flag(self, letter: str) -> None:
        """Apply one letter of `flags`: a capital switches off, a small letter on again."""
        if letter.isupper():
            self.off.add(letter)
        else:
            self.off.discard(letter.upper())


class Users:
    def __init__(self, *users: User) -> None:
        self._users = {user.id: user for user in users}

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._users

    def all(self) -> list[User]:
        return list(self._users.values())

    def get(self, user_id: str) -> User | None:
        return self._users.get(user_id)

    def put(self, user: User) -> str | None:
        """Add or replace a user; returns the reason if it is refused."""
        if user.id not in self._users and len(self._users) >= MAX_USERS:
            return "too many users"
        taken = {rfid.id for each in self.all() if each.id != user.id for rfid in each.rfids}
        if any(rfid.id in taken for rfid in user.rfids):
            return "another user has this RFID"
        self._users[user.id] = user
        return None

    def find(self, rfid: str) -> tuple[User, Rfid] | None:
        found = ((user, each) for user in self.all() for each in user.rfids if each.id == rfid)
        return next(found, None)

    def new_id(self) -> str:
        return next(
            text for n in range(MAX_USERS + 2) if (text := str(FIRST_USER_ID + n)) not in self
        )


def ruled_ma(rules: Iterable[ChargingRule], limit_ma: float, now: datetime) -> float:
    """Return the limit under the rules, in mA; `now` is the time of the site.

    Absolute and relative rules by time of day apply one after the other. Rules by the sun, a price,
    an input or an expression have no effect here.
    """
    left = limit_ma
    for rule in rules:
        if not rule.enabled or rule.current is None or not _in_force(rule, now):
            continue
        if rule.mode is RuleMode.ABSOLUTE:
            left = min(max(rule.current, 0), limit_ma)
        elif rule.mode is RuleMode.RELATIVE:
            left = min(max(left + rule.current, 0), limit_ma)
    return left


def _in_force(rule: ChargingRule, now: datetime) -> bool:
    if any(each is not None for each in (rule.expr, rule.input, rule.price_level, rule.solar)):
        return False
    begin = rule.time or 0
    length = _DAY_MIN - begin if rule.dur is None else rule.dur
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for days_ago in range(8):  # a rule may last a week
        day = midnight - timedelta(days=days_ago)
        start = day + timedelta(minutes=begin)
        if rule.days >> day.weekday() & 1 and start <= now < start + timedelta(minutes=length):
            return True
    return False
