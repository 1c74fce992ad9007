"""The gate: who may come in, and what every answer says to a browser."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from tests.http_client import Client
from tests.web.small_site import SmallSite
from twisted_gantry.access import passwords
from twisted_gantry.access.gate import Access, Gate, needs_password
from twisted_gantry.access.line import MOST_HELD
from twisted_gantry.access.people import Person, Role, User
from twisted_gantry.access.roles import roles_of
from twisted_gantry.core.alarms import Severity
from twisted_gantry.wire.local_operations import OPERATIONS
from twisted_gantry.wire.secret import Secret

PASSWORD, TOKEN = "pässword:with colon", "t0ken-abc"
ROUTES = (
    ("GET", "/"),
    ("GET", "/app.js"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/site"),
    ("GET", "/api/v1/points"),
    ("GET", "/api/v1/alarms"),
    ("GET", "/api/v1/commands"),
    ("POST", "/api/v1/commands"),
    ("GET", "/api/v1/audit"),
    ("GET", "/api/v1/outbox"),
    ("POST", "/api/v1/outbox/retry"),
    ("GET", "/nope"),
    ("PUT", "/api/v1/site"),
    ("GET", "/healthz/x"),
    ("GET", "//healthz"),
)


def basic(password: str, user: str = "anyone") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def guarded(small: SmallSite) -> Client:
    """Return a client of a site with a password and a token."""
    return small.client(PASSWORD, TOKEN)


class TestPassword:
    """A site with a password, a token or both."""

    def test_every_route(self, small: SmallSite, guarded: Client) -> None:
        """No route, known or not, answers to somebody who knows nothing."""
        body = {"target": "ups1", "command": "BZOFF"}
        for method, path in ROUTES:
            answer = guarded.send(method, path, body if method == "POST" else b"").ended()
            assert (answer.status, answer.error) == (401, "unauthorized"), path
            assert answer.headers.get_all("WWW-Authenticate") == [
                'Basic realm="gantry", charset="UTF-8"',
                'Bearer realm="gantry"',
            ]
        assert (small.ups.told, small.etc.retries) == ([], 0)

    def test_health_is_open(self, small: SmallSite, guarded: Client) -> None:
        """Whether the program is well may be asked without a password; why it is not, with one."""
        assert guarded.get("/healthz").status == 200
        small.site.alarms.set("store.failed", Severity.CRITICAL, "disk full at /data", "磁盘已满")
        answer = guarded.get("/healthz")
        assert (answer.status, answer.json) == (
            503,
            {"status": "failing", "reasons": [], "notes": []},
        )
        known = guarded.get("/healthz", Authorization=f"Bearer {TOKEN}")
        assert (known.status, known.json["reasons"]) == (503, ["disk full at /data"])
        assert guarded.get("/healthz", Authorization="Bearer wrong").status == 401

    @pytest.mark.parametrize(
        "authorization",
        [
            basic(PASSWORD),
            basic(PASSWORD, ""),
            basic(PASSWORD).replace("Basic", "BASIC"),
            f"Bearer {TOKEN}",
            f"bearer   {TOKEN} ",
        ],
    )
    def test_known(self, guarded: Client, authorization: str) -> None:
        """Who knows the password, under any name, or the token comes in."""
        assert guarded.get("/api/v1/site", Authorization=authorization).status == 200

    def test_unknown(self, guarded: Client) -> None:
        """Anything else is refused."""
        for authorization in (
            "",
            "Basic",
            "Bearer",
            "Bearer ",
            basic("wrong"),
            basic(PASSWORD + "x"),
            basic(PASSWORD[:-1]),
            basic(""),
            basic(TOKEN),
            basic(PASSWORD) + "!",
            "Basic " + base64.b64encode(PASSWORD.encode()).decode(),
            "Basic ====",
            "Basic \u00fc",
            f"Bearer {TOKEN}x",
            "Bearer \u00fc",
            f"Token {TOKEN}",
            TOKEN,
            "Digest username=x",
        ):
            answer = guarded.get("/api/v1/site", Authorization=authorization)
            assert (answer.status, answer.error) == (401, "unauthorized"), authorization

    def test_each_alone(self, small: SmallSite) -> None:
        """With one of the two set, only that one opens, and only that one is asked for."""
        only_token = small.client(token=TOKEN)
        answer = only_token.get("/", Authorization=basic(TOKEN))
        assert answer.status == 401
        assert answer.headers.get_all("WWW-Authenticate") == ['Bearer realm="gantry"']
        assert only_token.get("/", Authorization=f"Bearer {TOKEN}").status == 200
        only_password = small.client(PASSWORD)
        answer = only_password.get("/", Authorization=f"Bearer {PASSWORD}")
        assert answer.status == 401
        assert answer.headers.get_all("WWW-Authenticate") == [
            'Basic realm="gantry", charset="UTF-8"'
        ]
        assert only_password.get("/", Authorization=basic(PASSWORD)).status == 200

    def test_any_host(self, guarded: Client) -> None:
        """With a password the site may go by any name."""
        answer = guarded.get(
            "/api/v1/site", host="gantry.example:8443", Authorization=basic(PASSWORD)
        )
        assert answer.status == 200

    def test_no_secret_shows(self, small: SmallSite, guarded: Client) -> None:
        """Neither password nor token is in any answer or repr."""
        access = Access(Secret(PASSWORD), Secret(TOKEN))
        assert PASSWORD not in repr(vars(access))
        assert TOKEN not in repr(vars(access))
        for method, path in ROUTES:
            answer = guarded.send(method, path, Authorization=basic(PASSWORD)).answer()
            for secret in (PASSWORD, TOKEN):
                assert secret.encode() not in answer.body
                assert secret not in str(answer.headers)

    @pytest.mark.parametrize(("password", "token"), [("", None), (None, ""), ("x", "")])
    def test_empty_secret(self, password: str | None, token: str | None) -> None:
        """An empty password or token is a mistake, not an open door."""
        with pytest.raises(ValueError, match="empty"):
            Access(
                None if password is None else Secret(password),
                None if token is None else Secret(token),
            )

    def test_counted(self, small: SmallSite, guarded: Client) -> None:
        """Refusals are counted for the metrics."""
        for _ in range(3):
            guarded.get("/api/v1/site", Authorization=basic("wrong"))
        assert small.http_counts["gate"]["unauthorized"] == 3


class TestHost:
    """A site without a password answers only to names that cannot be rebound."""

    def test_local(self, client: Client) -> None:
        """An address and localhost, with any port, are answered."""
        for host in (
            "127.0.0.1",
            "127.0.0.1:8080",
            "192.168.1.5:80",
            "localhost",
            "LOCALHOST:8080",
            "[::1]",
            "[::1]:8080",
            "[2001:db8::5]:80",
        ):
            assert client.get("/api/v1/site", host=host).status == 200, host

    @pytest.mark.parametrize("path", ["/", "/api/v1/site", "/healthz"])
    def test_foreign(self, small: SmallSite, client: Client, path: str) -> None:
        """A name that may point anywhere is refused, with the reason, and counted."""
        hosts = (
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "127.1",
            "0x7f000001",
        )
        for host in hosts:
            answer = client.get(path, host=host)
            assert (answer.status, answer.error) == (403, "foreign-host"), host
            assert "IP address or localhost" in answer.json["error"]["message"]
        assert small.http_counts["gate"]["foreign-host"] == len(hosts)

    @pytest.mark.parametrize("password", [None, PASSWORD])
    def test_no_host(self, small: SmallSite, password: str | None) -> None:
        """What is no name at all is refused in the shape of an error, and nothing is logged."""
        client = small.client(password)
        hosts = (
            "a..b",
            ".",
            "x" * 64 + ".example",
            "x" * 300,
            "evil.example/..",
            "user@127.0.0.1",
            "127.0.0.1:port",
            "127.0.0.1:999999",
            "[::1",
            "a b",
            "\u00fc.example",
            "<script>",
        )
        for host in hosts:
            answer = client.get("/api/v1/site", host=host, Authorization=basic(PASSWORD))
            assert (answer.status, answer.error) == (400, "bad-host"), host
        assert small.http_counts["gate"]["malformed"] == len(hosts)

    def test_none_given(self, client: Client) -> None:
        """A health check that speaks HTTP/1.0 and names no host is answered."""
        assert client.raw(b"GET /healthz HTTP/1.0\r\n\r\n").answer().status == 200


class TestEveryAnswer:
    """What goes with each answer, good or bad."""

    def test_headers(self, client: Client) -> None:
        """A browser is told to run only our own scripts, to guess no type and to frame nothing."""
        for path, host in (
            ("/", "127.0.0.1"),
            ("/app.js", "127.0.0.1"),
            ("/metrics", "127.0.0.1"),
            ("/api/v1/site", "127.0.0.1"),
            ("/nope", "127.0.0.1"),
            ("/", "evil.example"),
            ("/", "a..b"),
        ):
            headers = client.get(path, host=host).headers
            assert headers["X-Content-Type-Options"] == "nosniff", path
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Referrer-Policy"] == "no-referrer"
            rules = headers["Content-Security-Policy"].split(";")
            policy = dict(rule.strip().split(" ", 1) for rule in rules)
            for name in ("default-src", "script-src", "style-src"):
                assert policy[name] == "'self'"
            assert policy["frame-ancestors"] == "'none'"
            assert "unsafe" not in headers["Content-Security-Policy"]

    def test_refusals_have_them(self, guarded: Client) -> None:
        """A 401 has them too."""
        assert guarded.get("/").headers["X-Frame-Options"] == "DENY"

    def test_no_text(self, client: Client) -> None:
        """A path or a method that is no text is a 400, and no failure is logged."""
        for line in (
            b"GET /\xff\xfe",
            b"GET /api/%ff",
            b"get /",
            b"G@T /",
            b"G\xc3\xbcT /",
            b"X" * 21 + b" /",
        ):
            answer = client.raw(line + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").answer()
            assert answer.status == 400, line


class _Broken(Resource):
    isLeaf = True

    def render(self, request: Request) -> bytes:
        raise RuntimeError("a mistake")


def test_a_mistake_behind_the_gate(logged_failures: list[Failure]) -> None:
    """What fails behind the gate is answered, and logged."""
    broken = _Broken()  # type: ignore[no-untyped-call]
    answer = Client(Gate(Access(None, None), broken)).get("/")
    assert (answer.status, b"a mistake" in answer.body) == (500, False)
    assert [each.type for each in logged_failures] == [RuntimeError]
    logged_failures.clear()


class TestNeedsPassword:
    """Which endpoints can be reached from another computer."""

    def test_loopback(self) -> None:
        """Loopback and a UNIX socket need none."""
        for endpoint in (
            "tcp:8080:interface=127.0.0.1",
            "tcp:interface=127.0.0.1:port=8080",
            "tcp:8080:interface=127.9.9.9:backlog=5",
            "tcp:8080:interface=localhost",
            r"tcp6:8080:interface=\:\:1",
            r"tcp:8080:interface=\:\:1",
            "ssl:8443:privateKey=k.pem:certKey=c.pem:interface=127.0.0.1",
            "unix:/run/gantry/web.sock",
            "unix:/run/gantry/web.sock:mode=660",
        ):
            assert needs_password(endpoint) is False, endpoint

    def test_elsewhere(self) -> None:
        """All others might be reached, and need one."""
        for endpoint in (
            "tcp:8080",
            "tcp:8080:interface=",
            "tcp:8080:interface=0.0.0.0",
            "tcp:8080:interface=192.168.1.5",
            "tcp:8080:interface=gantry.local",
            r"tcp:8080:interface=\:\:",
            r"tcp6:8080:interface=fe80\:\:1",
            "tcp6:8080",
            "tcp:8080:interface=::1",
            "tcp:8080:interface=127.0.0.1:interface=0.0.0.0",
            "tcp:8080:xinterface=127.0.0.1",
            "ssl:8443:privateKey=k.pem",
            "systemd:domain=INET:index=0",
            "fd:3",
            "haproxy:tcp:8080:interface=127.0.0.1",
            "8080",
            "",
            "UNIX:/x",
        ):
            assert needs_password(endpoint) is True, endpoint


def guarded_by(small: SmallSite) -> Client:
    """Return a client of a site with an operator's and a viewer's secrets."""
    viewer = {"viewer_password": Secret("look"), "viewer_token": Secret("look-t0ken")}
    return Client(small.resource(PASSWORD, TOKEN, clock=small.clock, **viewer))


WISH = {"target": "ups1", "command": "BZOFF"}
VIEWERS = [basic("look"), "Bearer look-t0ken"]
OPERATORS = [basic(PASSWORD), f"Bearer {TOKEN}"]


class TestViewer:
    """Who may only read."""

    @pytest.mark.parametrize("authorization", VIEWERS)
    def test_reads(self, small: SmallSite, authorization: str) -> None:
        """A viewer may read everything, and change nothing: no route can be forgotten."""
        client = guarded_by(small)
        for method, path in ROUTES:
            body = WISH if method == "POST" else b""
            answer = client.send(method, path, body, Authorization=authorization).ended()
            if method == "GET":
                assert answer.status in (200, 404), path
            else:
                assert (answer.status, answer.error) == (403, "read-only"), path
        for method in ("PATCH", "DELETE", "TRACE", "FOO"):
            answer = client.send(method, "/api/v1/site", Authorization=authorization).ended()
            assert (answer.status, answer.error) == (403, "read-only"), method
        assert client.send("HEAD", "/", Authorization=authorization).ended().status == 200
        assert (small.ups.told, small.etc.retries) == ([], 0)
        assert small.http_counts["gate"]["read-only"] == 7

    @pytest.mark.parametrize("authorization", OPERATORS)
    def test_an_operator(self, small: SmallSite, authorization: str) -> None:
        """Beside viewers an operator may still do everything."""
        answer = guarded_by(small).post("/api/v1/commands", WISH, Authorization=authorization)
        assert answer.json["result"] == "done"

    def test_only_a_viewer(self, small: SmallSite) -> None:
        """With a viewer's secret alone, nobody may change anything, and nobody comes in without."""
        client = Client(small.resource(viewer_password=Secret("look")))
        assert client.get("/").status == 401
        assert client.get("/", Authorization=basic("look")).status == 200
        answer = client.post("/api/v1/commands", WISH, Authorization=basic("look"))
        assert answer.error == "read-only"

    def test_crossed(self, small: SmallSite) -> None:
        """A password is no token, also of a viewer."""
        client = guarded_by(small)
        assert client.get("/", Authorization="Bearer look").status == 401
        small.clock.advance(1)
        assert client.get("/", Authorization=basic("look-t0ken")).status == 401


class TestHashed:
    """A password that the configuration has as a hash."""

    @pytest.fixture(autouse=True)
    def cheap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(passwords, "N", 16)

    def test_in_a_thread(self, small: SmallSite) -> None:
        """It is tried in a thread, once; the request waits, and others do not."""
        waiting: list[Deferred[None]] = []
        resource = guarded_hash(small, waiting)
        client = Client(resource)
        first = client.send("GET", "/api/v1/site", Authorization=basic("hidden"))
        assert not first.answered
        assert client.get("/healthz").status == 200
        assert client.get("/api/v1/site", Authorization=f"Bearer {TOKEN}").status == 200
        waiting.pop().callback(None)
        assert first.ended().status == 200
        assert client.get("/api/v1/site", Authorization=basic("hidden")).status == 200
        assert waiting == []

    def test_wrong(self, small: SmallSite) -> None:
        """A wrong one is refused, and so is the text of the hash itself."""
        waiting: list[Deferred[None]] = []
        client = Client(guarded_hash(small, waiting))
        for wrong in ("wrong", passwords.hash_password("hidden", bytes(16))):
            exchange = client.send("GET", "/", Authorization=basic(wrong))
            waiting.pop().callback(None)
            assert exchange.ended().status == 401

    def test_gone(self, small: SmallSite) -> None:
        """A client that leaves while it is tried does no harm."""
        waiting: list[Deferred[None]] = []
        client = Client(guarded_hash(small, waiting))
        exchange = client.send("POST", "/api/v1/commands", WISH, Authorization=basic("hidden"))
        exchange.hang_up()
        waiting.pop().callback(None)
        assert small.ups.told == []
        assert client.get("/", Authorization=basic("hidden")).status == 200


def guarded_hash(small: SmallSite, waiting: list[Deferred[None]]) -> IResource:
    """Return a resource with a hashed password, which is tried when a Deferred is fired."""

    def in_thread(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        waiting.append(Deferred())
        return waiting[-1].addCallback(lambda _: function(*args))

    hashed = passwords.hash_password("hidden", bytes(16))
    return small.resource(hashed, TOKEN, hashing=in_thread)


class TestGuessing:
    """Somebody who tries passwords."""

    def test_put_off(self, small: SmallSite) -> None:
        """Each wrong one makes the next wait longer, two seconds at most."""
        client = guarded_by(small)
        waits = []
        for number in range(8):
            exchange = client.send("GET", "/", Authorization=basic(f"guess {number}"))
            began = small.clock.seconds()
            while not exchange.answered:
                small.clock.advance(0.1)
            waits.append(small.clock.seconds() - began)
            assert exchange.ended().status == 401
        assert waits == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0], abs=0.11)

    def test_many_at_once(self, small: SmallSite) -> None:
        """Secrets wait their turn; who comes to a full line hears how long."""
        client = guarded_by(small)
        guess(small, client)
        waiting = [client.send("GET", "/", Authorization=basic(f"guess {n}")) for n in range(3)]
        right = client.send("GET", "/", Authorization=basic(PASSWORD))
        crowd = [
            client.send("GET", "/", Authorization=basic(f"x{n}")) for n in range(MOST_HELD - 4)
        ]
        refused = client.send("GET", "/", Authorization=basic("x")).ended()
        assert (refused.status, refused.error) == (429, "too-many-guesses")
        assert refused.headers["Retry-After"] == "2"
        assert refused.headers["X-Frame-Options"] == "DENY"
        small.clock.advance(2)
        assert not right.answered
        for _ in range(4):
            small.clock.advance(0.5)
        assert right.ended().status == 200
        assert {each.ended().status for each in waiting} == {401}
        assert sum(each.answered for each in crowd) <= 2
        assert small.http_counts["gate"]["throttled"] == 1
        for each in crowd:
            each.hang_up()

    def test_gone(self, small: SmallSite) -> None:
        """Somebody who leaves while waiting gives the place to the next."""
        client = guarded_by(small)
        guess(small, client)
        for number in range(20):
            client.send("GET", "/", Authorization=basic(f"guess {number}")).hang_up()
        right = client.send("GET", "/", Authorization=basic(PASSWORD))
        small.clock.advance(2)
        assert right.ended().status == 200

    def test_the_right_one(self, small: SmallSite) -> None:
        """An address that has logged in goes on without a pause, however much it guesses."""
        client = guarded_by(small)
        for authorization in (*OPERATORS, *VIEWERS):
            assert client.get("/", Authorization=authorization).status == 200
        guess(small, client)
        waiting = [client.send("GET", "/", Authorization=basic(f"x{n}")) for n in range(20)]
        for authorization in (*OPERATORS, *VIEWERS):
            assert client.get("/", Authorization=authorization).status == 200
        answer = client.get("/")
        assert (answer.status, "WWW-Authenticate" in answer.headers) == (401, True)
        for each in waiting:
            each.hang_up()

    def test_another_address(self, small: SmallSite) -> None:
        """One who guesses does not put off another, right or wrong."""
        client = guarded_by(small)
        guess(small, client)
        client.peer = IPv4Address("TCP", "192.0.2.8", 5555)
        assert client.get("/", Authorization=basic(PASSWORD)).status == 200
        assert client.get("/", Authorization=basic("wrong")).status == 401

    def test_slowly(self, small: SmallSite) -> None:
        """A wrong one now and then is no guessing."""
        client = guarded_by(small)
        for _ in range(30):
            assert client.get("/", Authorization=basic("wrong")).status == 401
            small.clock.advance(60)


def guess(small: SmallSite, client: Client) -> None:
    """Try ten wrong passwords, one after the other."""
    for number in range(10):
        exchange = client.send("GET", "/", Authorization=basic(f"wrong {number}"))
        while not exchange.answered:
            small.clock.advance(0.5)
        assert exchange.ended().status == 401


# What a browser says of itself when a page of ours, or a form that passes for one, sends.
OWN = {"Sec-Fetch-Site": "same-origin"}


class TestAbsoluteTargets:
    """The host of an absolute target is that of the request, whatever its Host header says."""

    @pytest.mark.parametrize(
        ("target", "status"),
        [
            (b"http://127.0.0.1:8080/api/v1/site", 200),
            (b"HTTP://localhost/healthz", 200),
            (b"http://evil.example/api/v1/site", 403),
            (b"http://127.0.0.1@evil.example/api/v1/site", 403),
        ],
    )
    def test_the_host_counts(self, client: Client, target: bytes, status: int) -> None:
        """Without a password a foreign name is refused in the target as in the header."""
        head = b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
        assert client.raw(head).ended().status == status


class TestForged:
    """What a page of elsewhere makes the browser of somebody send who is logged in."""

    @pytest.mark.parametrize(
        ("headers", "status", "error"),
        [
            ({"Origin": "http://evil.example"}, 403, "foreign-origin"),
            ({"Origin": "null"}, 403, "foreign-origin"),
            ({"Sec-Fetch-Site": "cross-site"}, 403, "foreign-origin"),
            ({"Sec-Fetch-Site": "same-site"}, 403, "foreign-origin"),
            ({"Sec-Fetch-Site": "same-origin, cross-site"}, 403, "foreign-origin"),
            ({"Sec-Fetch-Site": "none", "Origin": "http://evil.example"}, 403, "foreign-origin"),
            ({**OWN, "Content-Type": "application/x-www-form-urlencoded"}, 415, "bad-content-type"),
            ({**OWN, "Content-Type": "multipart/mixed; boundary=x"}, 415, "bad-content-type"),
            ({**OWN, "Content-Type": "text/plain"}, 415, "bad-content-type"),
            ({**OWN, "Content-Type": "text/plain; application/json"}, 415, "bad-content-type"),
            ({**OWN, "Content-Type": "\u00fc"}, 415, "bad-content-type"),
        ],
    )
    @pytest.mark.parametrize("path", ["/api/v1/commands", "/api/v1/outbox/retry"])
    @pytest.mark.parametrize("password", [None, PASSWORD])
    def test_refused(
        self,
        small: SmallSite,
        headers: dict[str, str],
        status: int,
        error: str,
        path: str,
        password: str | None,
    ) -> None:
        """A form, another origin or another site changes nothing, though the password is right."""
        client = small.client(password)
        more = {"Authorization": basic(PASSWORD), **headers}
        answer = client.post(path, WISH, **more)
        assert (answer.status, answer.error) == (status, error)
        assert (small.ups.told, small.etc.retries) == ([], 0)
        assert small.http_counts["gate"]["foreign-origin"] == 1

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Content-Type": "application/json"},
            {"Content-Type": "Application/JSON ; charset=utf-8"},
            {"Content-Type": "application/x-www-form-urlencoded"},
            {**OWN, "Content-Type": "text/csv"},
            {
                "Content-Type": "application/json",
                "Origin": "http://127.0.0.1:8080",
                "Sec-Fetch-Site": "same-origin",
            },
            # Behind a reverse proxy, which sends a Host of its own.
            {**OWN, "Origin": "https://gantry.example.cn", "X-Forwarded-Host": "gantry.example.cn"},
        ],
    )
    def test_let_through(self, small: SmallSite, headers: dict[str, str]) -> None:
        """A program, and a page of our own, may."""
        answer = guarded_by(small).post(
            "/api/v1/commands", WISH, Authorization=basic(PASSWORD), **headers
        )
        assert answer.json["result"] == "done"

    def test_what_the_proxy_lacks_is_said(self, small: SmallSite) -> None:
        """A browser on plain http sends no Sec-Fetch-Site: the 403 names the header to pass."""
        more = {"Origin": "http://gantry.example.cn", "Authorization": basic(PASSWORD)}
        answer = guarded_by(small).post("/api/v1/commands", WISH, **more)
        assert (answer.status, answer.error) == (403, "foreign-origin")
        message = answer.json["error"]["message"]
        for told in ("http://gantry.example.cn", "127.0.0.1", "proxy_set_header Host $http_host;"):
            assert told in message

    def test_reading(self, client: Client) -> None:
        """A link from elsewhere may be followed: reading changes nothing."""
        more = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
        assert client.get("/api/v1/site", **more).status == 200


class TestUsers:
    """Accounts with roles of their own."""

    USERS = (
        User(Person("vera", Role.VIEWER), Secret("v-pass")),
        User(Person("otto", Role.OPERATOR), Secret("o-pass"), Secret("o-t0ken")),
        User(Person("王伟", Role.ADMIN), Secret("管理")),
    )
    VERA, OTTO, TOKEN_OF_OTTO, WEI, SHARED = (
        basic("v-pass", "vera"),
        basic("o-pass", "otto"),
        "Bearer o-t0ken",
        basic("管理", "王伟"),
        basic(PASSWORD),
    )

    @pytest.fixture
    def client(self, small: SmallSite) -> Client:
        return Client(small.resource(PASSWORD, TOKEN, users=self.USERS, clock=small.clock))

    @pytest.mark.parametrize(
        ("authorization", "name", "role"),
        [
            (VERA, "vera", "viewer"),
            (OTTO, "otto", "operator"),
            (TOKEN_OF_OTTO, "otto", "operator"),
            (WEI, "王伟", "admin"),
            (SHARED, "operator", "admin"),
            (f"Bearer {TOKEN}", "operator", "admin"),
        ],
    )
    def test_who_they_are(self, client: Client, authorization: str, name: str, role: str) -> None:
        """Name and password, or the token, tell who asks; the audit names the person."""
        answer = client.get("/api/v1/whoami", Authorization=authorization)
        assert answer.json == {"name": name, "role": role}
        done = client.post("/api/v1/commands", WISH, Authorization=authorization)
        assert done.status == (403 if role == "viewer" else 200)
        entries = client.get("/api/v1/audit", Authorization=authorization).json["entries"]
        audited = [] if role == "viewer" else [f"api 192.0.2.7 {name}"]
        assert [each["who"] for each in entries] == audited

    def test_without_a_secret(self, client: Client, small: SmallSite) -> None:
        """Without any secret everybody on this computer is `local`, and may do all."""
        answer = Client(small.resource()).get("/api/v1/whoami")
        assert answer.json == {"name": "local", "role": "admin"}

    @pytest.mark.parametrize(
        ("method", "path", "body", "needed"),
        [
            ("GET", "/", b"", Role.VIEWER),
            ("GET", "/metrics", b"", Role.VIEWER),
            ("GET", "/api/v1/users", b"", Role.ADMIN),
            ("HEAD", "/api/v1/users", b"", Role.ADMIN),
            ("GET", "/api/v1/%75sers", b"", Role.ADMIN),
            ("GET", "/api/v1/users?x=1", b"", Role.ADMIN),
            ("POST", "/api/v1/commands", WISH, Role.OPERATOR),
            ("POST", "/api/v1/%63ommands", WISH, Role.OPERATOR),
            ("POST", "/api/v1/outbox/retry", {}, Role.OPERATOR),
            ("POST", "/api/v1/outbox/drop", {}, Role.ADMIN),
            ("POST", "/api/v1/outbox/%64rop", {}, Role.ADMIN),
            ("POST", "/api/v1/backup", {}, Role.ADMIN),
            ("POST", "/api/v1/alarms/ack", {}, Role.OPERATOR),
            ("POST", "/api/v1/unheard-of", {}, Role.ADMIN),
        ],
    )
    def test_what_they_may(
        self, client: Client, method: str, path: str, body: object, needed: Role
    ) -> None:
        """What a role may not is 403; without a secret it is 401."""
        people = ((Role.VIEWER, self.VERA), (Role.OPERATOR, self.OTTO), (Role.ADMIN, self.WEI))
        for role, authorization in people:
            exchange = client.send(method, path, body, Authorization=authorization)
            status = exchange.answer().status if exchange.answered else 200
            assert (status == 403) is not role.allows(needed), role
            exchange.hang_up()
        assert client.send(method, path, body).ended().status == 401

    def test_every_operation_states_its_role(self) -> None:
        """Each route is in one table; what changes something is not for viewers."""
        needed_role = roles_of(OPERATIONS)
        for each in OPERATIONS:
            role = needed_role(each.method.upper().encode(), each.path.encode())
            assert role.value == each.role
            assert each.method == "get" or role is not Role.VIEWER

    def test_the_list(self, client: Client) -> None:
        """An admin sees names and roles; no secret is there, not even a hash."""
        answer = client.get("/api/v1/users", Authorization=self.WEI)
        assert [tuple(each.values()) for each in answer.json["users"]] == [
            ("operator", "admin", True, True),
            ("vera", "viewer", True, False),
            ("otto", "operator", True, True),
            ("王伟", "admin", True, False),
        ]
        for secret in (PASSWORD, TOKEN, "v-pass", "o-pass", "o-t0ken", "管理"):
            assert secret.encode() not in answer.body

    def test_wrong(self, client: Client, small: SmallSite) -> None:
        """A password goes with its own name; a name of any form of Unicode is one name."""
        for user, password in (("otto", "v-pass"), ("anyone", "o-pass"), ("Otto", "o-pass")):
            assert client.get("/", Authorization=basic(password, user)).status == 401
            small.clock.advance(60)
        for user, password in (("otto", PASSWORD), ("", PASSWORD)):
            assert client.get("/", Authorization=basic(password, user)).status == 200
