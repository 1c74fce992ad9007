"""Which answer is a picture, by the spellings of its headers."""

import pytest

from twisted_gantry.wire.etc.pictures import described, file_name

NAME = "G000211001002110010_20190828141101321"


@pytest.mark.parametrize(
    ("kind", "disposition", "found"),
    [
        ("image/jpeg", f"attachment;filename={NAME}.jpg", ("20190828141101321", "jpg")),
        ("image/jpeg", f'attachment; filename="{NAME}.JPEG"', ("20190828141101321", "jpeg")),
        ("IMAGE/JPEG; x=1", "", ("", "jpg")),
        ("image/jpg", "", ("", "jpg")),
        ("video/avi", f"attachment;filename={NAME}.avi", ("20190828141101321", "avi")),
        ("video/x-msvideo", "", ("", "avi")),
        ("video/mp4", "attachment;filename=door.mp4", ("", "mp4")),
        ("application/octet-stream", f"x;filename={NAME}.png", ("20190828141101321", "png")),
        ("video/avi", f"attachment;filename={NAME}.jpg", ("20190828141101321", "avi")),
        ("application/json", "", None),
        ("text/html", "attachment;filename=index.html", None),
        ("", "", None),
        ("application/octet-stream", "attachment;filename=../../etc/passwd", None),
    ],
)
def test_what_a_file_is(kind: str, disposition: str, found: tuple[str, str] | None) -> None:
    """The type counts, then the extension; the time is that of the name."""
    headers = {"content-type": kind, "content-disposition": disposition}
    assert described(headers) == found


def test_the_name_is_the_document_s() -> None:
    """Gantry, time to the millisecond, extension."""
    assert file_name("G1", "20190828141101321", "jpg") == "G1_20190828141101321.jpg"
