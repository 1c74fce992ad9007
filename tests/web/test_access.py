"""The gate: who may come in, and what every answer says to a browser."""

import base64

import pytest

from tests.web.small_site import Client, SmallSite
from twisted_gantry.site.secret import Secret
from twisted_gantry.web.access import Access, needs_password

PASSWORD, TOKEN = "pässword:with colon", "t0ken-abc"
ROUTES = (
    ("GET", "/"),
    ("GET", "/page.js"),
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
    """Return the header for HTTP Basic."""
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

    def test_health_is_open(self, guarded: Client) -> None:
        """Whether the program is well may be asked without a password."""
        assert guarded.get("/healthz").status == 200

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
            ("/page.js", "127.0.0.1"),
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
