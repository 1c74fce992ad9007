"""The client of the local HTTP API: blocking, one request per connection, everything bounded.

It is written on `http.client`: httpx bounds each read and not the whole answer, so the watchdog
would stay, and the start of `gantryctl` would take some 10 % longer.
"""

import contextlib
import getpass
import http.client
import re
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.wire.secret import Secret

# Bytes of the longest answer that is read; a whole catalogue of points is under 1 MiB.
MAX_ANSWER = 16 * 1024 * 1024
# Seconds for one answer; a command is waited for until it expires, and `GRACE` longer.
TIMEOUT = 10.0
GRACE = 10.0
# Seconds in which a gantry must have copied its store: gigabytes of history, on a slow disk.
COPYING = 900.0
_CHUNK = 64 * 1024
# User names that the API takes into its audit.
_USER = re.compile(r"[A-Za-z0-9._@-]{1,40}")
_T = TypeVar("_T")

_QUOTED = 300  # characters of a text of the peer that are shown to the person


class ApiError(Trouble):
    """The API gave no result; `status` is the HTTP status, None if no answer came.

    `sent` is False if the request certainly had no effect.
    """

    def __init__(
        self,
        key: str,
        exit_code: int = Exit.WRONG,
        code: str = "",
        /,
        *,
        status: int | None = None,
        sent: bool = True,
        **fields: object,
    ) -> None:
        super().__init__(key, exit_code, code, status=status, **fields)
        self.status, self.sent = status, sent


@dataclass(frozen=True)
class Answer:
    """A JSON object, its HTTP status, and the URL of the API that sent it."""

    status: int
    document: dict[str, Any]
    where: str

    def fit(self, shape: type[_T]) -> _T:
        """Return the document as a `shape`. Raises ApiError if it does not fit."""
        with self.checked():
            return msgspec.convert(self.document, shape)

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Turn the validation errors of a block into ApiError."""
        try:
            yield
        except (msgspec.ValidationError, RecursionError) as error:
            detail = str(error)[:_QUOTED]
            raise ApiError(
                "odd-answer", status=self.status, where=self.where, detail=detail
            ) from None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path, self._seconds = path, timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._seconds)
        self.sock.connect(self._path)


Connect = Callable[[float], http.client.HTTPConnection]


def _bad_url(url: str) -> ApiError:
    # The part before an @ may be a password.
    return ApiError("bad-url", Exit.USAGE, sent=False, url="…" if "@" in url else url)


def _target(path: str, query: Mapping[str, object]) -> str:
    """Return a path with its query; items of None are left out."""
    given = {name: value for name, value in query.items() if value is not None}
    return path + ("?" + urlencode(given) if given else "")


def _parse(url: str) -> tuple[Connect, str]:
    """Return how to connect to `url`, and the path before `/api`. Raises ApiError."""
    if url.startswith("unix:"):
        path = url.removeprefix("unix:")
        if not path.startswith("/"):
            raise _bad_url(url)
        return lambda timeout: _UnixConnection(path, timeout), ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad_url(url) from None
    if parts.username is not None or parts.password is not None:
        # Every user of the computer can see a command line, and perhaps the message.
        raise ApiError("password-in-url", Exit.USAGE, sent=False)
    printable = url.isascii() and url.isprintable() and " " not in url
    whole = parts.scheme in {"http", "https"} and host and printable
    if not whole or parts.query or parts.fragment:
        raise _bad_url(url)
    base = parts.path.rstrip("/")
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return lambda t: http.client.HTTPSConnection(host, port, timeout=t, context=context), base
    return lambda t: http.client.HTTPConnection(host, port, timeout=t), base


def _authorization(password: Secret | None, token: Secret | None, account: str) -> Secret | None:
    if token is not None:
        text = token.reveal()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ApiError("bad-token", Exit.USAGE, sent=False)
        return Secret(f"Bearer {text}")
    if password is not None:
        # HTTP Basic needs a name; without users the API checks the password alone.
        pair = f"{account or 'gantryctl'}:{password.reveal()}".encode()
        return Secret(f"Basic {b64encode(pair).decode()}")
    return None


def _user() -> str:
    """Return the user's name for the audit; empty if the API would not take the name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, in a container
        return ""
    return name if _USER.fullmatch(name) else ""


@dataclass
class _Watchdog:
    """Cuts a connection after `seconds`, however slowly bytes come."""

    sock: socket.socket
    seconds: float
    expired: bool = False
    _timer: threading.Timer = field(init=False)

    def __post_init__(self) -> None:
        self._timer = threading.Timer(self.seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        self._timer.cancel()

    def slacken(self, seconds: float) -> None:
        """Bound no longer the whole answer, but the time until the next bytes."""
        self.stop()
        self.seconds = seconds
        self.sock.settimeout(seconds)

    def _cut(self) -> None:
        self.expired = True
        with contextlib.suppress(OSError):  # it may be closed already
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class Api:
    """The local API at `url`: `http://host:port`, `https://…` or `unix:/path`.

    `timeout` is the seconds for one answer, `cannot_connect` the key of the text for a failed
    connection. Redirects and proxies are not followed: they would see the password or the token.
    """

    def __init__(
        self,
        url: str,
        password: Secret | None = None,
        token: Secret | None = None,
        timeout: float = TIMEOUT,
        cannot_connect: str = "cannot-connect",
        account: str = "",
    ) -> None:
        self.timeout, self._cannot_connect = timeout, cannot_connect
        self._connect, self._base = _parse(url)
        self._authorization = _authorization(password, token, account)
        self.url = url

    def __repr__(self) -> str:
        return f"Api({self.url!r})"

    def get(
        self, path: str, query: Mapping[str, object] | None = None, also: Collection[int] = ()
    ) -> Answer:
        """Return the document at `path`; query items of None are left out.

        `also` are statuses besides 2xx that carry a result. Raises ApiError.
        """
        return self._ask("GET", _target(path, query or {}), None, self.timeout, also)

    def post(self, path: str, document: object, timeout: float | None = None) -> Answer:
        """Send `document` to `path`, and return the answer. Raises ApiError."""
        body = msgspec.json.encode(document)
        return self._ask("POST", path, body, timeout or self.timeout, ())

    def upload(
        self, path: str, content: bytes, also: Collection[int] = (), result: str = ""
    ) -> Answer:
        """Send a file to `path`, and return the answer within `COPYING` seconds. `also` are
        statuses besides 2xx that carry a result, which has the member `result`. Raises ApiError.
        """
        kind = "application/octet-stream"
        with self._exchange("POST", path, content, COPYING, kind) as (response, _):
            data = self._read(response)
        return self._result(response, data, also, result)

    def delete(self, path: str) -> Answer:
        """Send DELETE for `path`, and return the answer. Raises ApiError."""
        return self._ask("DELETE", path, None, self.timeout, ())

    def download(self, path: str, document: object, file: IO[bytes]) -> int:
        """Send `document` to `path`, write the answer into `file`, and return its size in bytes.

        The answer must begin within `COPYING` seconds; then bytes must come within each `timeout`.
        Raises Trouble.
        """
        return self._save("POST", path, msgspec.json.encode(document), file)

    def fetch(self, path: str, query: Mapping[str, object], file: IO[bytes]) -> int:
        """Write what is at `path` into `file`, as `download` does."""
        return self._save("GET", _target(path, query), None, file)

    def _save(self, method: str, target: str, body: bytes | None, file: IO[bytes]) -> int:
        with self._exchange(method, target, body, COPYING) as (response, watchdog):
            if response.status != 200:
                self._result(response, self._read(response), ())
                raise self._error("not-json", status=response.status)
            if response.length is None and not response.chunked:
                raise self._error("broke-off", Exit.UNREACHABLE)
            watchdog.slacken(self.timeout)
            written = 0
            while data := response.read1(_CHUNK):
                try:
                    file.write(data)
                except OSError as error:  # the disk failed, not the connection
                    reason = error.strerror or str(error)
                    raise Trouble("cannot-write", file=file.name, reason=reason) from None
                written += len(data)
            if response.length:
                raise http.client.IncompleteRead(b"")
        return written

    def events(self, path: str, silence: float) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the data of each server-sent event at `path`; both are empty for a
        comment. Something must come within each `silence` seconds. Raises ApiError when the stream
        ends.
        """
        with self._exchange("GET", path, None, self.timeout) as (response, watchdog):
            if response.status != 200:
                self._result(response, self._read(response), ())
                raise self._error("not-json", status=response.status)
            watchdog.slacken(silence)
            name, data = "", b""
            while line := response.readline(MAX_ANSWER):
                field, _, value = line.rstrip(b"\n").partition(b": ")
                if field == b"event":
                    name = value.decode("utf-8", "replace")
                elif field == b"data":
                    data = value
                elif not field and name:
                    yield name, data
                    name, data = "", b""
                elif line.startswith(b":"):
                    yield "", b""
        raise self._error("broke-off", Exit.UNREACHABLE)

    def _ask(
        self, method: str, target: str, body: bytes | None, timeout: float, also: Collection[int]
    ) -> Answer:
        with self._exchange(method, target, body, timeout) as (response, _):
            data = self._read(response)
        return self._result(response, data, also)

    def _result(
        self,
        response: http.client.HTTPResponse,
        data: bytes,
        also: Collection[int],
        result: str = "",
    ) -> Answer:
        status = response.status
        if 300 <= status < 400:
            location = response.getheader("Location") or ""
            raise self._error("redirected", status=status, location=location[:_QUOTED])
        try:
            document = msgspec.json.decode(data)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            key = "no-password" if status == 401 else "not-json"
            raise self._error(key, status=status)
        is_result = "error" not in document or (result and result in document)
        if 200 <= status < 300 or (status in also and is_result):
            return Answer(status, document, self.url)
        error = document.get("error")
        said = error if isinstance(error, dict) else {}
        names = ("code", "message", "messageZh")
        code, message, zh = (str(said.get(name, ""))[:_QUOTED] for name in names)
        key = "no-password" if status == 401 else "refused"
        fields = {"status": status, "name": code, "message": message, "message_zh": zh}
        raise self._error(key, Exit.WRONG, code, **fields)

    @contextmanager
    def _exchange(
        self,
        method: str,
        target: str,
        body: bytes | None,
        timeout: float,
        kind: str = "application/json",
    ) -> Iterator[tuple[http.client.HTTPResponse, _Watchdog]]:
        """Send a request and give its answer, to be read in the block. Raises ApiError."""
        connection = self._connect(timeout)
        try:
            self._open(connection)
            watchdog = _Watchdog(connection.sock, timeout)
            try:
                connection.request(method, self._base + target, body, self._headers(body, kind))
                with connection.getresponse() as response:
                    yield response, watchdog
                if watchdog.expired:
                    raise TimeoutError
            except (OSError, http.client.HTTPException, ValueError) as error:
                if watchdog.expired or isinstance(error, TimeoutError):
                    seconds = f"{watchdog.seconds:g}"
                    raise self._error("no-answer", Exit.UNREACHABLE, seconds=seconds) from None
                raise self._error("broke-off", Exit.UNREACHABLE) from None
            finally:
                watchdog.stop()
        finally:
            connection.close()

    def _headers(self, body: bytes | None, kind: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "Connection": "close"}
        headers["Accept-Language"] = "zh, en"  # errors in both; the session chooses
        if body is not None:
            headers["Content-Type"] = kind
        if user := _user():
            headers["X-Gantry-User"] = user
        if self._authorization is not None:
            headers["Authorization"] = self._authorization.reveal()
        return headers

    def _open(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            reason = error.verify_message
            key = "bad-certificate"
            raise self._error(key, Exit.UNREACHABLE, sent=False, reason=reason) from None
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            key = self._cannot_connect
            raise self._error(key, Exit.UNREACHABLE, sent=False, reason=reason) from None

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        declared = response.length or 0
        data = b"" if declared > MAX_ANSWER else response.read(MAX_ANSWER + 1)
        if declared > MAX_ANSWER or len(data) > MAX_ANSWER:
            raise self._error("too-long", status=response.status, mib=MAX_ANSWER >> 20)
        if response.length:  # the announced rest did not come
            raise http.client.IncompleteRead(b"")
        return data

    def _error(self, key: str, *codes: Any, **fields: Any) -> ApiError:
        return ApiError(key, *codes, where=self.url, **fields)
