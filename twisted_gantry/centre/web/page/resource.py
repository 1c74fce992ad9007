"""The page of the centre; its data comes from the API."""

from twisted_gantry.net.http.static_files import StaticPage

_SHARED = "twisted_gantry.pages"
VIEWS = ("gantries", "alarms", "commands", "cards", "registry", "audit")
"""Paths of views beside `/`, and `/gantries/ID` and `/commands/ID`."""


def page_of_centre() -> StaticPage:
    """Return the page. Raises OSError when a file of it is not installed."""
    return StaticPage(__package__, _SHARED, VIEWS, ("gantries", "commands"))
