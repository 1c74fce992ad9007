"""Classes of threads: one that hangs holds up its own kind alone, and not the end."""

import threading
from typing import Any

from twisted.internet.defer import gatherResults

from twisted_gantry.net.threads import ThreadClass


async def test_a_class_that_hangs_starves_no_other() -> None:
    """While all threads of one class hang, another class works; `close` waits for nobody."""
    from twisted.internet import reactor

    clock: Any = reactor
    stuck, free = ThreadClass(clock, "stuck", 2), ThreadClass(clock, "free", 1)
    go = threading.Event()
    waiting = gatherResults([stuck.run(go.wait) for _ in range(5)])
    assert await free.run(sum, (1, 2)) == 3
    ran = await free.run(threading.current_thread)
    assert ran.daemon
    assert "free" in ran.name
    assert not waiting.called
    free.close()
    go.set()
    assert await waiting == [True] * 5
    stuck.close()
