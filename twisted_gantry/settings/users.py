"""`[web]` with `[[web.user]]` and the file that `[web] users` names: who may come in, as what."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from stat import S_IRWXO
from typing import Any

from msgspec.structs import replace

from twisted_gantry.access.people import same_name, wrong_name
from twisted_gantry.access.secrets import wrong_secret
from twisted_gantry.net.text_files import read_text
from twisted_gantry.settings.checks import wrong_web
from twisted_gantry.settings.sources import NotYet, path_of, read_secret
from twisted_gantry.settings.tables import Document
from twisted_gantry.settings.tables import Path as Place
from twisted_gantry.settings.web import UserSettings, WebSettings
from twisted_gantry.wire.secret import Secret

_NEEDS = "needs a password or a token"
_Found = list[tuple[Document, Place, UserSettings]]


def read_web(
    document: Document, folder: Path, secret: Callable[[Any], Secret], *, roads: bool = False
) -> WebSettings | None:
    """Return `[web]` with its users; what is wrong is noted in `document`. `roads`: users may be
    kept to roads.
    """
    web = document.read(document.table(document.root, ("web",)), WebSettings, ("web",), secret)
    if web is None:
        return None
    # A secret that is wrong is told by its own key, and is not missing.
    table = document.root.get("web")
    keys = {*web.secrets(), "user", "users"}
    given = keys & (table if isinstance(table, dict) else {}).keys()
    document.complain(("web", "listen"), wrong_web(web.listen, has_password=bool(given)))
    for key, each in web.secrets().items():
        document.complain(("web", key), wrong_secret(each) if each is not None else "")
    return _with_users(document, web, folder, roads=roads)


def _with_users(document: Document, web: WebSettings, folder: Path, *, roads: bool) -> WebSettings:
    """Return `web` with the users of its file beside its own; mistakes are noted in `document`."""
    table = document.root.get("web")
    own = table.get("user") if isinstance(table, dict) else None
    given = [each for each in own if isinstance(each, dict)] if isinstance(own, list) else []
    for index, each in enumerate(given):
        if not {"password", "token"} & each.keys():
            document.wrong(("web", "user", index), _NEEDS)
    found: _Found = [(document, ("web", "user", n), each) for n, each in enumerate(web.user)]
    if web.users:
        found += _in_file(document, web.users, folder)
    _check(found, web, roads=roads)
    return replace(web, user=tuple(each for _, _, each in found))


def _in_file(document: Document, name: str, folder: Path) -> _Found:
    """Read the file; its mistakes are told with its own lines."""
    place: Place = ("web", "users")
    try:
        path = path_of(folder, name)
        text = read_text(path)
        mode = path.stat().st_mode
    except NotYet as error:
        if not document.not_yet(place, error):
            document.wrong(place, str(error))
        return []
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        hint = "; gantryctl user add makes it" if isinstance(error, FileNotFoundError) else ""
        document.wrong(place, f"the file {folder / name} cannot be read: {reason}{hint}")
        return []
    if mode & S_IRWXO:
        document.warn(place, f"everybody may read {path}: chmod 600")
    file = Document.parse(text, str(path))
    file.later = document.later
    file.unknown(file.root, {"user"}, ())
    found: _Found = []
    for index, table in enumerate(file.tables("user")):
        at: Place = ("user", index)
        read = file.read(table, UserSettings, at, partial(read_secret, path.parent))
        if not {"password", "token"} & table.keys():
            file.wrong(at, _NEEDS)
        if read is not None:
            found.append((file, at, read))
    document.problems += file.problems
    file.problems = document.problems  # what is found later is told with the rest
    return found


def _check(found: _Found, web: WebSettings, *, roads: bool) -> None:
    names: set[str] = set()
    tokens = [each.reveal() for each in (web.token, web.viewer_token) if each is not None]
    for document, place, user in found:
        document.complain((*place, "name"), wrong_name(user.name))
        if same_name(user.name) in names:
            document.wrong((*place, "name"), f"a second user is named {user.name!r}")
        names.add(same_name(user.name))
        if user.roads is not None:
            wrong = "" if roads else "is for users of the centre: this is one gantry"
            wrong = wrong or ("" if user.roads and all(user.roads) else "names no road")
            document.complain((*place, "roads"), wrong)
        for key, secret in (("password", user.password), ("token", user.token)):
            document.complain((*place, key), "" if secret is None else wrong_secret(secret))
        if user.token is not None:
            if user.token.reveal() in tokens:
                document.wrong((*place, "token"), "another one has the same token")
            tokens.append(user.token.reveal())
