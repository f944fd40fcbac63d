"""The event loop of every process of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


def run(main: Callable[[], Any]) -> Any:
    """Run an async program on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())
