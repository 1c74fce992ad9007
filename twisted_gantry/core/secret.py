"""The name of `Secret` for drivers of others, which import from `core` alone."""

from twisted_gantry.wire.secret import Secret as Secret
from twisted_gantry.wire.secret import shown as shown
from twisted_gantry.wire.secret import without as without
