"""What an answer of the platform means for the report."""

import pytest

from twisted_gantry.net.http.client import Answer
from twisted_gantry.uplinks.etc.channel import Kind, classify


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"code":"1000","msg":"ok"}', Kind.DELIVERED),
        (b'{"code":1000}', Kind.DELIVERED),
        (b'{"code":" 1000 ","msg":null}', Kind.DELIVERED),
        (b'{"code":"1000","msg":"ok","data":null,"more":[]}', Kind.DELIVERED),
        (b'{" code ":"1000",}', Kind.DELIVERED),
        (b'{"code":"1002"}', Kind.REFUSED),
        (b'{"code":"1003"}', Kind.CLOCK),
        (b'{"code":"1004"}', Kind.SIGNATURE),
        *((b'{"code":"%d"}' % code, Kind.CHANNEL) for code in (1001, 1005, 1006, 1007, 1008)),
        (b'{"code":"1009"}', Kind.CHANNEL),
        (b'{"code":"1_000"}', Kind.CHANNEL),
        (b'{"code":"+1000"}', Kind.CHANNEL),
        (b'{"code":"01000"}', Kind.CHANNEL),
        ('{"code":"\uff11\uff10\uff10\uff10"}'.encode(), Kind.CHANNEL),
        (b'{"code":null}', Kind.CHANNEL),
        (b'{"code":true}', Kind.CHANNEL),
        (b"{}", Kind.CHANNEL),
        (b"[]", Kind.CHANNEL),
        (b"<html>", Kind.CHANNEL),
        (b"", Kind.CHANNEL),
    ],
)
def test_an_answer_is_about_the_channel_or_the_report(body: bytes, kind: Kind) -> None:
    """Only the codes of the document, as they are written there, decide over a report."""
    assert classify(Answer(200, {}, body)).kind is kind


@pytest.mark.parametrize("status", [201, 204, 301, 302, 400, 404, 413, 500, 503])
def test_any_status_but_200_is_about_the_channel(status: int) -> None:
    """An HTTP status that is not 200 keeps the report, whatever the body says."""
    taken = classify(Answer(status, {}, b'{"code":"1000"}'))
    assert taken.kind is Kind.CHANNEL
    assert taken.reason == f"HTTP {status}"
