"""The kinds over HTTP: bodies, signatures, and what an answer means."""

import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.daemon.process import free_port
from tests.notify.kinds.servers import AT, NOW, message, receiving, secret, sender, told
from twisted_gantry.notify.interfaces import NotSent
from twisted_gantry.notify.notice import AlarmTold, Message
from twisted_gantry.notify.texts import Wording
from twisted_gantry.wire.notification import is_signed


async def failure_of(made: Any, body: bytes = b"") -> NotSent:
    """Return how a sending fails."""
    with pytest.raises(NotSent) as caught:
        await made.send(body or message())
    await deferLater(reactor, 0.01)  # what was cut off is gone
    return caught.value


async def test_webhook() -> None:
    """The body is the message as stored; the signature is that of time stamp and body."""
    async with receiving() as (receiver, port):
        url = secret(f"http://127.0.0.1:{port}/hook")
        made = sender("webhook", url=url, secret=secret("s3cret-key"))
        await made.send(message())
        [request] = receiver.requests
        timestamp, given = (
            request.getHeader(f"X-Gantry-{each}") for each in ("Timestamp", "Signature")
        )
        assert (request.method, request.uri) == (b"POST", b"/hook")
        assert request.getHeader("Content-Type") == "application/json; charset=utf-8"
        assert receiver.bodies == [message()]
        assert timestamp == str(int(NOW))
        digest = hmac.new(b"s3cret-key", timestamp.encode() + b"." + message(), hashlib.sha256)
        assert given == f"sha256={digest.hexdigest()}"
        assert not is_signed("other-key", timestamp, message(), given)
        await made.close()


async def test_webhook_without_a_secret() -> None:
    """Without a secret there is a time stamp, and no signature."""
    async with receiving() as (receiver, port):
        made = sender("webhook", url=secret(f"http://127.0.0.1:{port}/"))
        await made.send(message())
        headers = receiver.requests[0].requestHeaders
        assert headers.hasHeader("X-Gantry-Timestamp")
        assert not headers.hasHeader("X-Gantry-Signature")
        await made.close()


@pytest.mark.parametrize(
    ("status", "refused"), [(400, True), (422, True), (401, False), (404, False), (503, False)]
)
async def test_statuses(status: int, refused: bool) -> None:
    """Another status than 2xx is a failure; a few of them are about this message."""
    async with receiving() as (receiver, port):
        receiver.status, receiver.body = status, b"token tok-123456789 is\nwrong"
        url = secret(f"http://127.0.0.1:{port}/hook?key=tok-123456789")
        made = sender("webhook", url=url)
        error = await failure_of(made)
        assert error.refused is refused
        assert str(error) == f"127.0.0.1:{port} answers HTTP {status}: token *** is wrong"
        await made.close()


async def test_a_redirect_is_not_followed() -> None:
    """A message goes to its receiver alone."""
    async with receiving() as (receiver, port):
        receiver.status = 302
        made = sender("webhook", url=secret(f"http://127.0.0.1:{port}/"))
        assert "302" in str(await failure_of(made))
        assert len(receiver.requests) == 1
        await made.close()


async def test_nobody_listens() -> None:
    """The reason has the host, and no part of the URL that may be a key."""
    port = free_port()
    made = sender("wecom", url=secret(f"http://127.0.0.1:{port}/send?key=0123-4567-89ab"))
    error = await failure_of(made)
    assert str(error).startswith(f"127.0.0.1:{port}: no connection: the connection is refused")
    assert "0123" not in str(error)
    await made.close()


async def test_wecom() -> None:
    """A text of at most 2048 bytes, in Chinese."""
    async with receiving() as (receiver, port):
        made = sender("wecom", url=secret(f"http://127.0.0.1:{port}/send?key=0123-4567-89ab"))
        await made.send(message("raised", told(value=0, consequences=["c.x"])))
        await made.send(message("raised", *[told(f"a{n}.x" * 9) for n in range(100)]))
        short, long = (json.loads(each) for each in receiver.bodies)
        assert receiver.requests[0].uri == b"/send?key=0123-4567-89ab"
        assert short == {"msgtype": "text", "text": {"content": short["text"]["content"]}}
        assert short["text"]["content"].splitlines() == [
            "【告警】北门架：市电异常",
            "G1  2026-11-21 12:00:00",
            "- 严重  市电异常  (ups1.mains-abnormal)；开始 2026-11-21 12:00:00；数值 0；连带 c.x",
        ]
        content = long["text"]["content"]
        assert content.startswith("【告警】北门架：市电异常等共100条\n")
        assert content.endswith("\n等共100条")
        assert 1900 < len(content.encode()) <= 2048
        await made.close()


def test_a_text_says_no_true_and_no_false() -> None:
    """The message says what a yes or a no means; severities have the words of the page."""
    alarm = AlarmTold("a.x", "warning", "mains abnormal", "市电异常", AT, value=False)
    lines = Wording("zh", "北门架").lines(Message("id-1", "raised", "G1", AT, (alarm,)))
    assert lines[1] == "- 警告  市电异常  (a.x)；开始 2026-11-21 12:00:00"


ROBOTS = [
    ("wecom", b'{"errcode":45009,"errmsg":"api freq out of limit"}', 45009, False),
    ("wecom", b'{"errcode":40008,"errmsg":"invalid message type"}', 40008, True),
    ("wecom", b'{"errcode":93000,"errmsg":"invalid webhook url"}', 93000, False),
    ("dingtalk", b'{"errcode":310000,"errmsg":"sign not match"}', 310000, False),
    ("dingtalk", b'{"errcode":130101,"errmsg":"send too fast"}', 130101, False),
    ("feishu", b'{"code":19021,"msg":"sign match fail"}', 19021, False),
    ("feishu", b'{"code":9499,"msg":"Bad Request","data":{}}', 9499, True),
    ("feishu", b'{"StatusCode":11232,"StatusMessage":"frequency limited"}', 11232, False),
]


@pytest.mark.parametrize(("kind", "body", "code", "refused"), ROBOTS)
async def test_errors_within_http_200(kind: str, body: bytes, code: int, refused: bool) -> None:
    """A robot refuses within HTTP 200: the number and the text are the reason."""
    async with receiving() as (receiver, port):
        receiver.body = body
        made = sender(kind, url=secret(f"http://127.0.0.1:{port}/hook?key=0123456789"))
        error = await failure_of(made)
        assert f"answers {code}: " in str(error)
        assert f"应答{code}" in error.outage.zh
        assert error.refused is refused
        await made.close()


@pytest.mark.parametrize("kind", ["wecom", "dingtalk", "feishu"])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"ok":true}', b'{"errcode":"0"}', b'{"msg":"\xb3\xc9"}', b"[" * 9000],
)
async def test_an_answer_that_is_no_answer(kind: str, body: bytes) -> None:
    """A page of a proxy or a portal with HTTP 200 took nothing."""
    async with receiving() as (receiver, port):
        receiver.body = body
        made = sender(kind, url=secret(f"http://127.0.0.1:{port}/hook?key=0123456789"))
        error = await failure_of(made)
        assert "does not say whether it took the message" in str(error)
        await made.close()


async def test_dingtalk() -> None:
    """The signature is in the query: Base64 of the HMAC of milliseconds and secret."""
    async with receiving() as (receiver, port):
        url = secret(f"http://127.0.0.1:{port}/robot/send?access_token=abcdef123456")
        made = sender("dingtalk", url=url, secret=secret("SECabc"))
        await made.send(message())
        query = parse_qs(receiver.requests[0].uri.decode().partition("?")[2])
        milliseconds = str(int(NOW * 1000))
        digest = hmac.new(b"SECabc", f"{milliseconds}\nSECabc".encode(), hashlib.sha256).digest()
        assert query == {
            "access_token": ["abcdef123456"],
            "timestamp": [milliseconds],
            "sign": [b64encode(digest).decode()],
        }
        body = json.loads(receiver.bodies[0])
        assert body["msgtype"] == "text"
        assert body["text"]["content"].startswith("【告警】")
        unsigned = sender("dingtalk", url=url)
        await unsigned.send(message())
        assert b"sign" not in receiver.requests[1].uri
        await made.close()
        await unsigned.close()


@pytest.mark.parametrize(
    "answer", [b'{"code":0,"msg":"success"}', b'{"StatusCode":0,"StatusMessage":"success"}']
)
async def test_feishu(answer: bytes) -> None:
    """The signature is in the body: Base64 of the HMAC of nothing, keyed by seconds and secret."""
    async with receiving() as (receiver, port):
        receiver.body = answer
        url = secret(f"http://127.0.0.1:{port}/open-apis/bot/v2/hook/0a1b2c3d")
        made = sender("feishu", "en", url=url, secret=secret("fs-secret"))
        await made.send(message("cleared", told(cleared_at="2026-11-21T12:05:00.000+08:00")))
        seconds = str(int(NOW))
        digest = hmac.new(f"{seconds}\nfs-secret".encode(), b"", hashlib.sha256).digest()
        body = json.loads(receiver.bodies[0])
        text = body["content"]["text"]
        assert body == {
            "timestamp": seconds,
            "sign": b64encode(digest).decode(),
            "msg_type": "text",
            "content": {"text": text},
        }
        assert text.splitlines()[0] == "[Recovered] 北门架: mains abnormal"
        assert "since 2026-11-21 12:00:00; until 2026-11-21 12:05:00" in text
        await made.close()


async def test_the_key_in_the_path_is_not_shown() -> None:
    """A robot that quotes the key of its URL does not bring the key into an error."""
    async with receiving() as (receiver, port):
        receiver.body = b'{"code":19001,"msg":"hook 0a1b2c3d is unknown"}'
        made = sender("feishu", url=secret(f"http://127.0.0.1:{port}/bot/hook/0a1b2c3d"))
        assert "hook *** is unknown" in str(await failure_of(made))
        await made.close()
