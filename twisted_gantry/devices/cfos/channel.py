"""Calls of a cFos Charging Manager: one URL, HTTP Basic, and which password holds.

Decisions: `docs/protocols/cfos.md`. Passwords never reach a log or a URL that is logged.
"""

from base64 import b64encode
from urllib.parse import urlsplit

from twisted_gantry.net.http.client import Answer, BoundedClient
from twisted_gantry.net.outage import Outage, of_status
from twisted_gantry.wire.cfos.calls import Call
from twisted_gantry.wire.secret import Secret

# Bytes: a poll of all devices that are read, with a generous 4 KiB each.
LONGEST_ANSWER = 256 * 1024


class WrongStatus(Exception):
    """The manager answered with an HTTP status other than 200."""

    def __init__(self, status: int) -> None:
        why = of_status(status, "the manager", "cFos")
        if status == 401:
            en = "the manager refuses user or password (HTTP 401)"
            why = Outage(why.cause, en, "cFos拒绝用户名或密码（HTTP 401）")
        super().__init__(str(why))
        self.status, self.outage = status, why


class Credentials:
    """The user and the password that the manager should have. While the outcome of a change is
    unknown there is another password, which may hold instead.
    """

    def __init__(self, user: str, password: Secret | None) -> None:
        self._user = user
        self._password = password
        self._other: Secret | None = None

    @property
    def password(self) -> Secret | None:
        return self._password

    def header(self) -> dict[str, str]:
        """Return the header of HTTP Basic, empty without a password."""
        if self._password is None:
            return {}
        pair = f"{self._user}:{self._password.reveal()}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}

    def adopt(self, new: Secret) -> None:
        self._password, self._other = new, None

    def doubt(self, other: Secret | None) -> None:
        """Note the password that may hold instead, None for none."""
        self._other = other

    def try_other(self) -> bool:
        """Use the other password after a refusal; returns False if there is none."""
        if self._other is None:
            return False
        self._password, self._other = self._other, self._password
        return True


class CfosChannel:
    """Calls one manager. `url` is that of its web interface, without user and password."""

    def __init__(self, url: str, credentials: Credentials, client: BoundedClient) -> None:
        self._base, self._client = url.rstrip("/"), client
        self.credentials = credentials

    async def ask(self, call: Call) -> bytes:
        """Make a call, and return the body of the answer. Raises NoAnswer, WrongStatus. After a
        refused password the call is made once more with the other, if there is one.
        """
        answer = await self._send(call)
        if answer.status == 401 and self.credentials.try_other():
            answer = await self._send(call)
            if answer.status == 401:
                self.credentials.try_other()
        if answer.status != 200:
            raise WrongStatus(answer.status)
        return answer.body

    async def _send(self, call: Call) -> Answer:
        headers = self.credentials.header()
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        url, body = self._base + call.target, call.body
        return await self._client.request(
            call.method, url, headers=headers, body=body, limit=LONGEST_ANSWER
        )


def wrong_url(text: str) -> str:
    """Return what is wrong with the URL of a manager, empty if nothing is."""
    try:
        url = urlsplit(text)
        usable = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        return "must be http(s)://host/"
    if "@" in url.netloc:
        return "must not hold a user or a password: they are keys of their own"
    if url.query or url.fragment:
        return "must end with the host or a path"
    if not usable:
        return f"must be http(s)://host/; it is {text[:100]!r}"
    return ""
