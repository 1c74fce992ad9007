"""Files that systemd makes when the service starts: not there yet, or not for everybody."""

from pathlib import Path

import pytest

from tests.authority import Authority
from twisted_gantry.config.load import load
from twisted_gantry.settings.tables import ConfigError, Problem

GANTRY = '[gantry]\nid = "G1"\n'
ETC = '[uplink.etc]\nurl = "https://h/monitor.do"\nauth = { file = "PATH/auth" }\n'
PLACES = ["/run/credentials/gantry.service", "$CREDENTIALS_DIRECTORY"]
CARD = '[[device]]\nname = "u"\nkind = "ups-card"\naddress = "tls:h:1"\nclient_cert = "own.pem"\n'
BMS = '[[device]]\nname = "b"\nkind = "bms"\nurl = "https://h"\ndevice_uid = "x"\n'
CLOUD = '[uplink.fogslink]\naddress = "tcp:h:1"\neq_sn = "1"\nchannels = {}\n'
TEXTS = [
    (ETC, "uplink.etc.auth"),
    (f"{ETC}[remotecontrol]\nlisten = 'tcp:1'\n", "uplink.etc.auth"),
    (f'{CARD}client_key = "PATH/key"\n', "device[1].client_key"),
    (f'{BMS}headers = {{ Token = {{ file = "PATH/token" }} }}\n', "device[1].headers"),
    ('[tls]\nca = "PATH/ca"\n', "tls.ca"),
    ('[web]\nlisten = "tcp:8080"\npassword = { file = "PATH/web" }\n', "web.password"),
    ('[monitor]\nlisten = "ssl:1:privateKey=PATH/key"\nauth = "x"\n', "monitor.listen"),
    (f'{CLOUD}api_key = {{ file = "PATH/key" }}\n', "uplink.fogslink.api_key"),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("text", "key"), TEXTS)
def test_a_credential_is_checked_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, key: str, place: str
) -> None:
    """A check by hand passes and names the file; the start needs the file."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    Authority().sign().write(tmp_path, "own")
    whole = GANTRY + text.replace("PATH", place)
    later: list[Problem] = []
    load(whole, "site.toml", tmp_path, later)
    [problem] = later
    assert problem.key == key
    assert "systemd makes it when the service starts" in problem.message
    with pytest.raises(ConfigError) as caught:
        load(whole, "site.toml", tmp_path)
    assert [each.key for each in caught.value.problems] == [key]


def test_a_credential_that_is_there_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the service the variable leads to the file, which is checked as every other."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    whole = GANTRY + ETC.replace("PATH", "$CREDENTIALS_DIRECTORY")
    later: list[Problem] = []
    with pytest.raises(ConfigError, match="No such file"):
        load(whole, later=later)
    (tmp_path / "auth").write_text("\ufeffcode\r\n")
    site = load(whole, later=later)
    [etc] = site.etc
    assert etc.auth.reveal() == "code"
    assert later == []


@pytest.mark.parametrize(
    ("images", "found"), [("pictures", "{}/pictures"), ("/srv/pictures", "/srv/pictures"), ("", "")]
)
def test_pictures_are_beside_the_configuration(tmp_path: Path, images: str, found: str) -> None:
    """A relative folder counts from the configuration file, whatever the working directory is."""
    text = f'{GANTRY}[remotecontrol]\nlisten = "tcp:1"\nauth = "x"\nimages = "{images}"\n'
    remote = load(text, folder=tmp_path).remotecontrol
    assert remote is not None
    assert remote.images == found.format(tmp_path)
