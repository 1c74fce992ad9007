"""What the page takes from others is as it was published."""

import hashlib
from importlib.resources import files


def test_the_plot_library_is_as_published() -> None:
    """VENDOR names the version, and the digest of each file, the licence among them."""
    folder = files("twisted_gantry.web.page").joinpath("vendor")
    first, *lines = folder.joinpath("VENDOR").read_text().splitlines()
    assert first.startswith("uPlot ")
    digests = {name: digest for digest, name in (line.split() for line in lines)}
    assert set(digests) == {each.name for each in folder.iterdir()} - {"VENDOR"}
    for name, digest in digests.items():
        content = folder.joinpath(name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, name
    version = first.split()[1].rstrip(",")
    assert f"(v{version})".encode() in folder.joinpath("uPlot.iife.min.js").read_bytes()[:400]
    assert "MIT License" in folder.joinpath("uPlot.LICENSE").read_text()
