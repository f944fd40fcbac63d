"""How a sample becomes a call; the runner and the answer key must agree on it to the byte."""

from __future__ import annotations

from echelon.adapters import Request, Sampling
from echelon.scorer.suites.suite import Sample, Task


def request_of(task: Task, sample: Sample, seed: int | None) -> Request:
    """The call that asks a model for `sample`; references and names of task and sample stay here."""
    return Request(
        call=task.call,
        instruction=sample.instruction,
        parts=sample.parts,
        output_kinds=task.output,
        labels=task.labels,
        sampling=Sampling(seed=seed, temperature=0.0),
    )
