"""The memory of a process and of all that it has started."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

PROC = Path("/proc")


def memory_bytes(process_id: int) -> int | None:
    """Resident bytes of the process and its descendants; None where the system has no /proc."""
    if not (PROC / "self/stat").exists():
        return None
    children = defaultdict(list)
    for folder in PROC.iterdir():
        if folder.name.isdigit() and (parent := _parent(folder)) is not None:
            children[parent].append(int(folder.name))
    family, total = [process_id], 0
    while family:
        member = family.pop()
        family += children[member]
        total += _resident(PROC / str(member))
    return total


def _parent(folder: Path) -> int | None:
    try:
        # The name before it may hold anything, brackets too.
        return int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError):  # it has just ended
        return None


def _resident(folder: Path) -> int:
    try:
        lines = (folder / "status").read_text(errors="replace").splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
