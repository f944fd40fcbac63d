"""Damage to the write-ahead log of a SQLite file, which SQLite itself takes for the end of the log.

SQLite reads the log up to the first frame whose checksum fails, and drops what follows: after a power cut that is a
transaction that was never acknowledged. Where acknowledged ones follow, the file would silently go back in time. The
format is that of https://www.sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER = struct.Struct(">8I")
"""Magic, version, page size, sequence number, two salts, two checksums."""
_FRAME = struct.Struct(">6I")
"""Page, size of the database after a commit or 0, two salts, two checksums."""
_MAGIC = 0x377F0682
"""Its lowest bit says that checksums are over big-endian words."""
_MASK = 0xFFFFFFFF


def is_damaged(database: Path) -> bool:
    """Whether the log of `database` holds commits after its first bad frame.

    The last commit alone proves nothing: a power cut may have torn it before it was acknowledged.
    """
    log = database.with_name(f"{database.name}-wal")
    # What a writer was just writing is whole when it is read again.
    bad = _first_bad_frame(log)
    return bad is not None and bad == _first_bad_frame(log)


def _first_bad_frame(log: Path) -> tuple[int, tuple[int, ...]] | None:
    """Return where the first bad frame with two commits behind it starts, and the header; None where there is none."""
    try:
        data = log.read_bytes()
    except FileNotFoundError:
        return None
    if len(data) < _HEADER.size or not any(data[: _HEADER.size]):
        return None
    header = _HEADER.unpack_from(data)
    order = ">" if header[0] & 1 else "<"
    sums = _checksum(data[:24], order, (0, 0))
    if header[0] & ~1 != _MAGIC or sums != header[6:]:
        return 0, header
    salts, frame_bytes = header[4:6], _FRAME.size + header[2]
    start = _HEADER.size
    while start + frame_bytes <= len(data):
        frame = _FRAME.unpack_from(data, start)
        sums = _checksum(data[start : start + 8], order, sums)
        sums = _checksum(data[start + _FRAME.size : start + frame_bytes], order, sums)
        if frame[2:4] != salts or frame[4:] != sums:
            break
        start += frame_bytes
    # Older frames, which the log's next round has not yet overwritten, have other salts.
    frames = (_FRAME.unpack_from(data, at) for at in range(start, len(data) - frame_bytes + 1, frame_bytes))
    commits = sum(bool(frame[1]) and frame[2:4] == salts for frame in frames)
    return (start, header) if commits > 1 else None


def _checksum(data: bytes, order: str, sums: tuple[int, ...]) -> tuple[int, int]:
    first, second = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one in words:
        first = (first + one + second) & _MASK
        second = (second + next(words) + first) & _MASK
    return first, second
