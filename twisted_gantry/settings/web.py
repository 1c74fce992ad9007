"""`[web]`: where the local API and the page are served, and who may come in."""

from typing import Literal

import msgspec

from twisted_gantry.access.people import Person, Role, User
from twisted_gantry.settings.checks import wrong_web
from twisted_gantry.wire.secret import Secret


class UserSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[web.user]]`: a person with a password, a token or both; each may be a hash. At the centre,
    `roads` are all that the person sees and commands.
    """

    name: str
    password: Secret | None = None
    token: Secret | None = None
    role: Literal["viewer", "operator", "admin"] = "viewer"
    roads: tuple[str, ...] | None = None

    @property
    def user(self) -> User:
        roads = None if self.roads is None else frozenset(self.roads)
        return User(Person(self.name, Role(self.role), roads), self.password, self.token)


class WebSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[web]`: where the local API and the status page are served.

    A `viewer_…` secret lets look and not change. Each secret may be a hash. `users` is a file with
    more users, `[[user]]`, which `gantryctl user` writes; once read, they are in `user`.
    """

    listen: str = "tcp:8080:interface=127.0.0.1"
    password: Secret | None = None
    token: Secret | None = None
    viewer_password: Secret | None = None
    viewer_token: Secret | None = None
    user: tuple[UserSettings, ...] = ()
    users: str = ""

    def secrets(self) -> dict[str, Secret | None]:
        names = ("password", "token", "viewer_password", "viewer_token")
        return {name: getattr(self, name) for name in names}

    def wrong_listen(self) -> str:
        return wrong_web(self.listen, has_password=bool(self.user) or any(self.secrets().values()))
