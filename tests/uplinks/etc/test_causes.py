"""The codes of the ETC document, in the vocabulary of causes."""

import pytest

from twisted_gantry.net.outage import Cause
from twisted_gantry.wire.etc.answers import trouble_of
from twisted_gantry.wire.etc.envelope import EtcCode


@pytest.mark.parametrize("code", [*EtcCode, None])
def test_codes_of_the_etc_document_are_causes(code: EtcCode | None) -> None:
    """What a code means is a cause; an id that is not known is a wrong identity."""
    assert Cause(trouble_of(code, None))
    assert trouble_of(EtcCode.BAD_PARAMETERS, "unknown gantryId") == Cause.WRONG_IDENTITY
    assert trouble_of(EtcCode.NOT_ALLOWED, None) == Cause.PASSWORD
