"""A form with one part is its content; every other form is refused in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.net.http.multipart import NotOnePart, content_of

JSON = b'{"version":"1001",\r\n"x":"--B"}'
HEAD = b'Content-Disposition: form-data; name="binFile"; filename="a.json"\r\n'
TYPE = "multipart/form-data; boundary=B"


def form(*parts: bytes, head: bytes = HEAD, boundary: bytes = b"B") -> bytes:
    each = b"".join(b"--%s\r\n%s\r\n%s\r\n" % (boundary, head, part) for part in parts)
    return each + b"--%s--\r\n" % boundary


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (TYPE, form(JSON)),
        ("Multipart/Form-Data;charset=utf-8; Boundary=B", form(JSON)),
        ('multipart/form-data; boundary="B"', form(JSON)),
        (TYPE, b"a preamble\r\n" + form(JSON)),
        (TYPE, form(JSON).replace(b"--B--\r\n", b"--B--")),
        (TYPE, form(JSON) + b"an epilogue"),
        (TYPE, form(JSON, head=HEAD + b"Content-Transfer-Encoding: binary\r\n")),
        (TYPE, form(JSON, head=b"")),
        (TYPE, form(JSON).partition(b"\r\n--B--")[0]),  # the end is missing
        ("multipart/form-data; boundary=----x'()", form(JSON, boundary=b"----x'()")),
        ("application/json", JSON),
        ("application/x-www-form-urlencoded", JSON),  # what curl -d says of JSON
        ("", JSON),
    ],
)
def test_the_one_part_is_the_body(content_type: str, body: bytes) -> None:
    """The content is that of the part to the byte: its digest must match."""
    assert content_of(content_type, body) == JSON


@pytest.mark.parametrize(
    ("content_type", "body", "told"),
    [
        (TYPE, form(JSON, JSON), "several parts"),
        (TYPE, form(), "without a part"),
        (TYPE, b"", "without its boundary"),
        (TYPE, JSON, "without its boundary"),
        ("multipart/form-data", form(JSON), "without a boundary"),
        (TYPE, form(JSON, head=HEAD + b"Content-Transfer-Encoding: base64\r\n"), "encoding"),
        (TYPE, b"--B\r\nno end of the head", "without a part"),
    ],
)
def test_another_form_is_refused(content_type: str, body: bytes, told: str) -> None:
    """The sentence says what is wrong and what can be sent."""
    with pytest.raises(NotOnePart, match=told) as caught:
        content_of(content_type, body)
    assert "; send " in str(caught.value)


@given(st.binary(max_size=200))
def test_any_content_comes_back(content: bytes) -> None:
    """Whatever the part holds is handed over unchanged, unless it has the boundary itself."""
    boundary = b"7d93b2a700d04"
    if b"\n--" + boundary in b"\n" + content:
        return
    body = form(content, boundary=boundary)
    assert content_of(f"multipart/form-data; boundary={boundary.decode()}", body) == content
