"""The OpenAPI 3.1 document of the centre, at `/api/openapi.json`."""

from twisted_gantry.wire import centre_api, centre_orders, local_api
from twisted_gantry.wire.centre_operations import EVENTS, OPERATIONS
from twisted_gantry.wire.openapi import Json, components_of, document_of, paths_of, types_of


def document(version: str) -> Json:
    """Return the document. The fields of the method of a command stand beside its own members."""
    paths = paths_of(OPERATIONS, EVENTS, "centre")
    schemas = components_of(
        types_of(OPERATIONS) | set(EVENTS.values()), (local_api, centre_api, centre_orders)
    )
    return document_of("twisted_gantry centre", version, paths, schemas)
