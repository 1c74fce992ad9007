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
        *((b'{"code":"%d"}' % code, Kind.CHANNEL) for code in (1001, 1005, 1006)),
        *((b'{"code":"%d"}' % code, Kind.UNCLEAR) for code in (1007, 1008, 1009)),
        (b'{"code":"01000"}', Kind.DELIVERED),
        (b'{"code":1000.0,"msg":"\xb3\xc9\xb9\xa6"}', Kind.DELIVERED),
        (b'{"code":"1_000"}', Kind.UNCLEAR),
        ('{"code":"\uff11\uff10\uff10\uff10"}'.encode(), Kind.UNCLEAR),
        (b'{"code":null}', Kind.UNCLEAR),
        (b'{"code":true}', Kind.UNCLEAR),
        (b"{}", Kind.UNCLEAR),
        (b"[]", Kind.UNCLEAR),
        (b"<html>", Kind.CHANNEL),
        (b"", Kind.CHANNEL),
    ],
)
def test_an_answer_is_about_the_channel_or_the_report(body: bytes, kind: Kind) -> None:
    """The codes of the document decide over a report; what is no JSON is the channel's fault."""
    assert classify(Answer(200, {}, body)).kind is kind


@pytest.mark.parametrize("status", [201, 204, 301, 302, 400, 404, 413, 500, 503])
def test_any_status_but_200_is_about_the_channel(status: int) -> None:
    """An HTTP status that is not 200 keeps the report, whatever the body says."""
    taken = classify(Answer(status, {}, b'{"code":"1000"}'))
    assert taken.kind is Kind.CHANNEL
    assert taken.reason == f"HTTP {status}"
