"""Scores exported models on the validation data, as an evaluation would: through the adapter, extraction and metric."""

from __future__ import annotations

from pathlib import Path

from problems import EXAMPLES, SEED, Problem

from echelon.adapters import Answer, BatchAdapter, Call, Part, Request
from echelon.adapters.onnx import Onnx, OnnxSettings
from echelon.scorer.extract import extract
from echelon.scorer.metrics.registry import metric
from echelon.scorer.suites.requests import request_of
from echelon.scorer.suites.starter import Example, Split
from echelon.scorer.suites.suite import Sample, Task


def score(folder: Path, problems: list[Problem]) -> dict[str, float]:
    """The score of each task, in its metric's own unit."""
    adapter = Onnx()
    adapter.open(OnnxSettings(folder=folder))
    try:
        return {problem.id: _score(adapter, problem) for problem in problems}
    finally:
        adapter.close()


def _score(adapter: BatchAdapter[OnnxSettings], problem: Problem) -> float:
    task = problem.starter.task
    samples = [_sample(problem, index) for index in range(EXAMPLES[Split.VALIDATION])]
    answers = _ask(adapter, task.call, [request_of(task, sample, 0) for sample in samples])
    measure = metric(task.metric, task.worst, task.labels)
    rows = [
        measure.sample(_extracted(answer, task), sample.references)
        for answer, sample in zip(answers, samples, strict=True)
    ]
    return measure.finish(rows)


def _sample(problem: Problem, index: int) -> Sample:
    example: Example = problem.starter.example(index, seed=SEED, split=Split.VALIDATION)
    return Sample(str(index), problem.instruction(example), example.parts, (example.reference,), example.cluster)


def _ask(adapter: BatchAdapter[OnnxSettings], call: Call, requests: list[Request]) -> list[object]:
    methods = {
        Call.COMPREHEND: adapter.comprehend,
        Call.GENERATE: adapter.generate,
        Call.LANGUAGE: adapter.language,
    }
    return [answer for start in range(0, len(requests), 50) for answer in methods[call](requests[start : start + 50])]


def _extracted(answer: object, task: Task) -> Part:
    if not isinstance(answer, Answer):
        raise SystemExit(f"{task.id}: the model failed: {answer!r}")
    return extract(task.extractor, answer.parts, task)
