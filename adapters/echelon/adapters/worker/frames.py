"""Frames between a server and the process of an adapter, over a pair of unix sockets.

A frame answers or opens a call. It is a head of fixed size, the lengths of its buffers, one line of JSON, and the
buffers as they are: what a frame of many megabytes costs is the kernel's copy.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from typing import Any, NamedTuple

from echelon.adapters.worker.values import decode, encode

PROTOCOL = 1
"""Goes up when an older end could no longer make sense of a newer one; both ends must have the same."""

WINDOW = 16
"""Pieces of a stream that may be under way before the server asks for more."""

_HEAD = struct.Struct("<QIIQ")
"""Call, bytes of JSON, number of buffers, bytes in all after the head."""
_JOINED_BYTES = 64 * 1024
"""Up to this much is copied together, to be written or read at once."""


INDEX_BYTES = 16 * 1024 * 1024
"""Of a frame's lengths and JSON, for an end that trusts nobody: nothing else runs while they are parsed, and they grow
to many times their size. Images, sounds, arrays and long texts are buffers, and not among them."""


class FrameError(Exception):
    """What came is no frame, or larger than agreed."""


class TooLargeError(Exception):
    """A frame that the other end would not take: it has `size` bytes of what may be `most`."""

    def __init__(self, size: int, most: int, what: str) -> None:
        super().__init__(f"{size} {what}, {most} at most")
        self.size = size
        self.most = most
        self.what = what


class Frame(NamedTuple):
    """One message: the call it belongs to, what is to be done or has been, and a value of the SDK."""

    call: int
    word: str
    value: Any


class Connection:
    """Sends frames from any thread; receives them in one."""

    def __init__(self, end: socket.socket, *, takes_bytes: int | None = None) -> None:
        """Of one frame it `takes_bytes` at most; None where the other end is trusted."""
        self._socket = end
        self._takes_bytes = takes_bytes
        self.gives_bytes: int | None = None
        """The most that the other end takes."""
        self._sending = threading.Lock()

    def send(self, call: int, word: str, value: Any = None) -> None:
        """Write one frame; OSError where the other end is gone, TooLargeError where it would not take it."""
        buffers: list[bytes] = []
        text = json.dumps([word, encode(value, buffers)], separators=(",", ":")).encode()
        lengths = struct.pack(f"<{len(buffers)}Q", *map(len, buffers))
        rest = len(lengths) + len(text) + sum(map(len, buffers))
        if self.gives_bytes is not None:
            _check(len(lengths) + len(text), rest, self.gives_bytes)
        head = _HEAD.pack(call, len(text), len(buffers), rest)
        with self._sending:
            if rest <= _JOINED_BYTES:
                self._socket.sendall(b"".join((head, lengths, text, *buffers)))
                return
            self._socket.sendall(head + lengths + text)
            for buffer in buffers:
                self._socket.sendall(buffer)

    def receive(self) -> Frame:
        """The next frame; EOFError where the other end is gone, FrameError where it makes no sense."""
        call, text_bytes, count, rest = _HEAD.unpack(self._read(_HEAD.size))
        table_bytes = 8 * count
        if table_bytes + text_bytes > rest:
            raise FrameError("a frame that is larger inside than outside")
        if self._takes_bytes is not None:
            try:
                _check(table_bytes + text_bytes, rest, self._takes_bytes)
            except TooLargeError as error:
                raise FrameError(f"a frame of {error}") from error
        body = self._read(rest if rest <= _JOINED_BYTES else table_bytes + text_bytes)
        lengths = struct.unpack_from(f"<{count}Q", body)
        if table_bytes + text_bytes + sum(lengths) != rest:
            raise FrameError("a frame whose lengths do not add up")
        buffers, at = [], table_bytes + text_bytes
        for length in lengths:
            buffers.append(body[at : at + length] if rest <= _JOINED_BYTES else self._read(length))
            at += length
        try:
            word, value = json.loads(body[table_bytes : table_bytes + text_bytes])
            return Frame(call, word, decode(value, buffers))
        # Whatever a hostile end makes of JSON, tags and fields ends here.
        except Exception as error:
            raise FrameError(f"a frame that makes no sense: {type(error).__name__}: {error}") from error

    def _read(self, size: int) -> bytes:
        data = self._socket.recv(size, socket.MSG_WAITALL)
        # A signal may cut a read short.
        while len(data) < size:
            more = self._socket.recv(size - len(data), socket.MSG_WAITALL)
            if not more:
                raise EOFError
            data += more
        return data

    def close(self) -> None:
        """End both directions, whoever is waiting for them."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _check(index_bytes: int, all_bytes: int, most_bytes: int) -> None:
    if all_bytes > most_bytes:
        raise TooLargeError(all_bytes, most_bytes, "bytes")
    if index_bytes > INDEX_BYTES:
        raise TooLargeError(index_bytes, INDEX_BYTES, "bytes of numbers and short texts")
