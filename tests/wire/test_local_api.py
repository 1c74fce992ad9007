"""The types of the local API: what is encoded is decoded, and the words are those of the core."""

from typing import Any

import msgspec
import pytest

from twisted_gantry.core.alarms import Severity as CoreSeverity
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.status import State as CoreState
from twisted_gantry.wire import local_api
from twisted_gantry.wire.local_api import (
    MAX_DEPTH,
    OUTCOMES,
    SEVERITIES,
    STATES,
    CommandBody,
    ReportView,
    Shape,
    SiteView,
)

SHAPES = [
    each
    for each in vars(local_api).values()
    if isinstance(each, type) and issubclass(each, Shape) and each is not Shape
]


def test_the_words_are_those_of_the_core() -> None:
    """An enumeration of the core has the same members here, where a client reads them."""
    assert {each.value for each in CoreState} == set(STATES)
    assert {each.value for each in CoreSeverity} == set(SEVERITIES)
    assert {each.value for each in Outcome} == set(OUTCOMES)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda each: str(each.__name__))
def test_what_is_encoded_is_decoded(shape: type[Shape]) -> None:
    """Each type survives the way over the wire, with every member filled."""
    made = _sample(msgspec.inspect.type_info(shape))
    assert msgspec.json.decode(msgspec.json.encode(made), type=shape) == made


SAMPLES: dict[type, Any] = {
    msgspec.inspect.StrType: "门架",
    msgspec.inspect.IntType: 2**53,
    msgspec.inspect.FloatType: 0.1,
    msgspec.inspect.BoolType: True,
    msgspec.inspect.AnyType: {"a": [1, None]},
}


def _sample(info: Any) -> Any:
    """Return a value of a type, none of it a default."""
    if isinstance(info, msgspec.inspect.Metadata):
        return _sample(info.type)
    if isinstance(info, msgspec.inspect.UnionType):  # the first is the one that says something
        known = [each for each in info.types if not isinstance(each, msgspec.inspect.NoneType)]
        return _sample(known[0])
    if isinstance(info, msgspec.inspect.ListType):
        return [_sample(info.item_type)]
    if isinstance(info, msgspec.inspect.VarTupleType):
        return (_sample(info.item_type),)
    if isinstance(info, msgspec.inspect.TupleType):
        return tuple(_sample(each) for each in info.item_types)
    if isinstance(info, msgspec.inspect.StructType):
        return info.cls(**{each.name: _sample(each.type) for each in info.fields})
    return SAMPLES[type(info)]


def test_an_older_or_newer_gantry_is_read() -> None:
    """Members that are missing have defaults; members that are unknown are ignored."""
    read = msgspec.json.decode(
        b'{"gantryId": "G", "devices": [{"name": "ups1", "later": 1}], "uplinks": []}',
        type=SiteView,
    )
    assert (read.devices[0].name, read.devices[0].state, read.name) == ("ups1", "", "")


def test_a_body_that_was_not_asked_for_is_left_out() -> None:
    """The bodies of reports are large: without `bodies=1` there is no such member."""
    assert b'"body"' not in msgspec.json.encode(ReportView(1))
    assert b'"body":"x"' in msgspec.json.encode(ReportView(1, body="x"))


def test_arguments_of_a_command_are_bounded_and_not_shown() -> None:
    """Nesting has a limit; `repr` shows no argument, for one may be a password."""
    nested: Any = 1
    for _ in range(MAX_DEPTH):
        nested = {"a": nested}
    body = {"target": "ups1", "command": "query", "args": nested}
    assert "'a'" not in repr(msgspec.convert(body, CommandBody))
    with pytest.raises(msgspec.ValidationError, match="deeper"):
        msgspec.convert({**body, "args": {"b": nested}}, CommandBody)
