"""What the probes of a run found: whether its model repeats itself, and whether it drifted while it was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """When a probe is asked; twice at the end, for two answers of one moment cannot differ by drift."""

    START = "start"
    END = "end"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Probe:
    """One answer to a probed sample, by the digest of its bytes."""

    task: str
    sample: str
    phase: Phase
    digest: str


@dataclass(frozen=True, slots=True)
class Stability:
    """What the probes of a run found: how many were asked in every phase, and how these answered.

    `repeated` answered bit for bit the same three times, `unstable` differently within one moment, and `drifted` the
    same at the end, but not as at the start.
    """

    started: int
    repeated: int
    unstable: int
    drifted: int

    @property
    def compared(self) -> int:
        """The number of samples that were asked in every phase."""
        return self.repeated + self.unstable + self.drifted


def stability(probes: Iterable[Probe]) -> Stability | None:
    """Return what `probes` found; None where nothing was probed."""
    digests: dict[tuple[str, str], dict[Phase, str]] = {}
    for probe in probes:
        digests.setdefault((probe.task, probe.sample), {})[probe.phase] = probe.digest
    if not digests:
        return None
    whole = [[found[phase] for phase in Phase] for found in digests.values() if len(found) == len(Phase)]
    unstable = sum(end != again for _, end, again in whole)
    drifted = sum(end == again != start for start, end, again in whole)
    return Stability(len(digests), len(whole) - unstable - drifted, unstable, drifted)
