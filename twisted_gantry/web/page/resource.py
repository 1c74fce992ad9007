"""The page of a gantry; its data comes from the local API."""

from twisted_gantry.net.http.static_files import StaticPage, content_types

PACKAGE = "twisted_gantry.web.page"
TYPES = content_types(PACKAGE)
"""The content type of each file, by its path."""


def page_of_site() -> StaticPage:
    """Return the page: its views and the pages of devices have paths of their own."""
    return StaticPage(PACKAGE, ("alarms", "reports", "audit"), ("devices",))
