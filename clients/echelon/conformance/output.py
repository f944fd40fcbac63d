"""Findings for people, for programs and for build servers."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from echelon.adapters.calls import Call
from echelon.conformance.findings import Finding, State
from echelon.scorer.printing import printable

if TYPE_CHECKING:
    from echelon.adapters.card import Card
    from echelon.adapters.registry import Entry

SCHEMA = "echelon.conformance/1"
"""Of the JSON; keys are only ever added under one number."""
_MARKS = {State.PASSED: "ok", State.FAILED: "FAIL", State.SKIPPED: "skip"}


def conforms(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.state is not State.FAILED for finding in findings)


def headline(target: str, card: Card) -> str:
    """The model, and in a line for each call what it takes and gives."""
    calls = [
        f"{support.call:10} {', '.join(support.input_kinds) or 'nothing'} -> {', '.join(support.output_kinds)}"
        for support in card.calls
    ]
    return "\n".join([printable(f"{target}, version {card.version or '-'}"), *calls, ""])


def line(finding: Finding) -> str:
    """A finding in one line, and one more for the fix."""
    told = finding.about if finding.state is State.PASSED else f"{finding.about}: {finding.said}"
    seen = f" ({finding.said})" if finding.state is State.PASSED and finding.said else ""
    fix = f"\n      {'':13} fix: {printable(finding.fix)}" if finding.fix else ""
    return f"{_MARKS[finding.state]:5} {finding.check:13} {printable(told + seen)}{fix}"


def summary(findings: Sequence[Finding]) -> str:
    """How many ended how."""
    counts = Counter(finding.state for finding in findings)
    seconds = sum(finding.seconds for finding in findings)
    return ", ".join(f"{counts[state]} {state}" for state in State) + f" in {seconds:.0f} s"


def as_json(target: str, entry: Entry | None, card: Card, findings: Sequence[Finding]) -> dict[str, Any]:
    """Everything that was found, as JSON values; docs/vendors.md describes them."""
    counts = Counter(finding.state for finding in findings)
    return {
        "schema": SCHEMA,
        "echelon": version("echelon"),
        "target": target,
        "adapter": entry and {"name": entry.name, "distribution": entry.distribution, "version": entry.version},
        "model": {
            "version": card.version,
            "calls": [str(support.call) for support in card.calls if support.call in Call],
            "deterministic": card.deterministic,
            "weights_digest": card.weights_digest,
        },
        "conforms": conforms(findings),
        **{str(state): counts[state] for state in State},
        "checks": [{**asdict(finding), "seconds": round(finding.seconds, 3)} for finding in findings],
    }


def as_junit(target: str, findings: Sequence[Finding]) -> str:
    """A JUnit report with a test case for each check."""
    counts = Counter(finding.state for finding in findings)
    suite = ET.Element(
        "testsuite",
        name="echelon.conformance",
        tests=str(len(findings)),
        failures=str(counts[State.FAILED]),
        errors="0",
        skipped=str(counts[State.SKIPPED]),
        time=f"{sum(finding.seconds for finding in findings):.3f}",
    )
    for finding in findings:
        case = ET.SubElement(
            suite, "testcase", classname=printable(target), name=finding.check, time=f"{finding.seconds:.3f}"
        )
        if finding.state is State.FAILED:
            ET.SubElement(case, "failure", message=printable(finding.said)).text = printable(finding.fix)
        elif finding.state is State.SKIPPED:
            ET.SubElement(case, "skipped", message=printable(finding.said))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
