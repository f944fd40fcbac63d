"""What waits in the server for an adapter's process is bounded by the server, and always told how it ends."""

from __future__ import annotations

import asyncio

import pytest

from echelon.adapters.errors import AdapterCrashedError
from echelon.adapters.worker.frames import WINDOW, FrameError
from echelon.server.hosts.replies import BlockingStream, Stream, Whole

END = AdapterCrashedError("the model's process was killed")


def test_a_thread_that_does_not_read_is_told_the_end_behind_a_full_window() -> None:
    stream = BlockingStream()
    for number in range(WINDOW):
        stream.take("piece", number)
    with pytest.raises(FrameError, match="more pieces than were asked for"):
        stream.take("piece", WINDOW)
    stream.take("failed", END)
    assert [stream.next(1.0) for _ in range(WINDOW)] == [("piece", number) for number in range(WINDOW)]
    with pytest.raises(AdapterCrashedError):
        stream.next(1.0)


async def test_a_task_that_does_not_read_is_told_the_end_behind_a_full_window() -> None:
    stream = Stream()
    for number in range(WINDOW):
        stream.take("piece", number)
    with pytest.raises(FrameError):
        stream.take("piece", WINDOW)
    stream.take("failed", END)
    async with asyncio.timeout(10):
        assert [await stream.next() for _ in range(WINDOW)] == [("piece", number) for number in range(WINDOW)]
        with pytest.raises(AdapterCrashedError):
            await stream.next()


@pytest.mark.parametrize(
    ("word", "value"), [("item", ("a", 1)), ("item", (2, 1)), ("item", (-1, 1)), ("item", None), ("piece", 1), ([], 1)]
)
def test_what_does_not_belong_to_a_call_leaves_it_waiting_for_its_end(word: str, value: object) -> None:
    reply = Whole(2)
    with pytest.raises(FrameError):
        reply.take(word, value)
    reply.take("failed", END)
    with pytest.raises(AdapterCrashedError):
        reply.future.result(0)
