"""Answers of the API, fitted into their types."""

from typing import TypeVar

import msgspec

from twisted_gantry.ctl.client import Answer, ApiError

_T = TypeVar("_T")


def read(answer: Answer, shape: type[_T], where: str) -> _T:
    """Fit an answer into its shape. Raises ApiError when it is none of this API."""
    try:
        return msgspec.convert(answer.document, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ApiError(
            "odd-answer", status=answer.status, where=where, detail=str(error)[:200]
        ) from None
