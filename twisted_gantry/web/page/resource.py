"""The page of a gantry; its data comes from the local API."""

from twisted_gantry.net.http.static_files import StaticPage

_SHARED = "twisted_gantry.pages"


def page_of_site() -> StaticPage:
    """Return the page: its views and the pages of devices have paths of their own."""
    return StaticPage(__package__, _SHARED, ("alarms", "reports", "audit"), ("devices",))
