"""What a process may say to its server behind the SDK's back, over the socket that both share."""

from __future__ import annotations

import gc
import json
import os
import socket
import struct
import sys
from itertools import count
from typing import Any

from echelon.adapters.worker.batches import Batches

_HEAD = struct.Struct("<QIIQ")


class Line:
    """A second way to write to the server."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=os.dup(int(sys.argv[1])))
        (batches,) = (found for found in gc.get_objects() if isinstance(found, Batches))
        self.call = max(batches._requests)

    def say(self, word: str, value: Any, call: int | None = None) -> None:
        text = json.dumps([word, value]).encode()
        self._socket.sendall(_HEAD.pack(self.call if call is None else call, len(text), 0, len(text)) + text)


def items_without_order() -> None:
    line = Line()
    for index in ("a", 1):
        line.say("item", ["tuple", [index, ["Text", {"value": "x"}]]])
    line.say("done", None)


def items_without_end() -> None:
    line = Line()
    for number in count():
        line.say("item", ["tuple", [number, None]])


def a_failure_that_cannot_be_told() -> None:
    Line().say("failed", ["foreign", ["Odd", 5]])


def answers_to_nobody() -> None:
    line = Line()
    while True:
        line.say("done", None, call=1 << 40)


def pieces_without_end() -> None:
    line = Line()
    while True:
        line.say("piece", "a word nobody asked for ")


LIES = {
    "items without order": items_without_order,
    "items without end": items_without_end,
    "a failure that cannot be told": a_failure_that_cannot_be_told,
    "answers to nobody": answers_to_nobody,
    "pieces without end": pieces_without_end,
}
