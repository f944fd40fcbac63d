"""What the benchmarks share: servers in processes of their own, paired slices, and one line a figure."""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


@contextmanager
def process(*command: str | Path, ready: str = r"on (\S+)$") -> Iterator[tuple[str, int]]:
    """Run a server until the block ends; what `ready` finds in its first line of output, and its pid."""
    child = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        line = child.stdout.readline().strip()
        found = re.search(ready, line)
        assert found, f"the server said {line!r}"
        yield found.group(1), child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, int]]:
    """`echelon serve` with these options on a free port; its address and pid."""
    with process(BIN / "echelon", "serve", "--listen", "127.0.0.1:0", "--log-level", "warning", *options) as started:
        yield started


def paired(one: Callable[[], float], other: Callable[[], float], rounds: int = 7) -> tuple[float, float, list[float]]:
    """Medians of both, measured in turn, and the ratios one/other pair by pair, sorted."""
    one(), other()
    pairs = [(one(), other()) for _ in range(rounds)]
    ratios = sorted(a / b for a, b in pairs)
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratios


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Peak resident memory of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def finished(*command: str | Path, codes: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """Processor seconds and peak memory in MB of a command that ends by itself."""
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert os.waitstatus_to_exitcode(status) in codes, f"{command} failed"
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def report(name: str, figure: str, target: str, *, met: bool) -> None:
    """One line: what, how much, the target, and whether it was met."""
    print(f"{name:58} {figure:>34}   target {target:24} {'met' if met else 'MISSED'}", flush=True)
