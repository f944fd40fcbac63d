"""Echelon's own adapters conform; those that answer special requests only are given some."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from echelon.adapters import Call, Request
from echelon.adapters.content import Kind, Part
from echelon.adapters.controls.form import KINDS
from echelon.adapters.controls.oracle import answer_line
from echelon.conformance import Conformance
from echelon.conformance.contents import small
from echelon.conformance.findings import State
from echelon.conformance.given import read_requests, request_line
from echelon.conformance.golden import LABELLED, Form
from echelon.conformance.kit import CHECKS, Kit
from echelon.scorer.suites.instructions import Instruction
from echelon.scorer.suites.starter import TASKS

pytestmark = pytest.mark.timeout(400)


def expect_conforming(conformance: Conformance, *, skipped: set[str]) -> None:
    with Kit(conformance) as kit:
        findings = [kit.run(check) for check in CHECKS]
    assert [(finding.check, finding.said) for finding in findings if finding.state is State.FAILED] == []
    assert {finding.check for finding in findings if finding.state is State.SKIPPED} == skipped


@pytest.mark.parametrize(
    ("adapter", "settings"),
    [("null", {}), ("chance", {"seed": 3}), ("baseline", {"model": "generalist-both"})],
)
def test_models_that_take_any_request_conform(adapter: str, settings: dict[str, object]) -> None:
    expect_conforming(Conformance(adapter, settings), skipped={"usage"})


def test_a_model_that_goes_by_instructions_conforms_on_requests_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text("".join(f"{request_line(request)}\n" for request in starter_requests()))
    expect_conforming(Conformance("dispatcher", requests=read_requests(file)), skipped={"usage"})


def starter_requests() -> list[Request]:
    requests = []
    for starter in TASKS:
        task, example = starter.task, starter.example(0, seed=0)
        instruction = Instruction(task.instruction).fill(example.fields)
        requests.append(Request(task.call, instruction, example.parts, task.output, task.labels))
    return requests


def test_a_model_that_knows_only_some_answers_conforms_on_those(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    forms = [Form(call, (taken,), given, given in LABELLED) for call, taken, given in product(Call, KINDS, KINDS)]
    # The same request may want several kinds, and the file has one answer for each request.
    lines = {form.request(): form.output for form in forms if form.inputs[0] is form.output}
    answers.write_text("".join(f"{answer_line(request, part(kind))}\n" for request, kind in lines.items()))
    expect_conforming(Conformance("oracle", {"answers": str(answers)}, requests=tuple(lines)), skipped={"usage"})


def part(kind: Kind) -> Part:
    return small(kind, 0)
