"""What the scorer itself costs: a null model, text samples over Pipeline, every outcome synced to disk."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from harness import BIN, finished, report, serving

MANIFEST = """
name: load-{count}
version: "1"
tasks:
  - id: questions
    title: Questions
    modality: language
    paradigm: language
    skill: question answering
    instruction: "Answer in one word: {{question}}"
    output: text
    extractor: text
    metric: anls
    chance: 0.0
    samples: questions.jsonl
"""
FEW, MANY, ROUNDS = 50, 10_000, 5


def make_suite(folder: Path, count: int) -> Path:
    """`count` questions of 30 words, each another."""
    folder.mkdir()
    (folder / "suite.yaml").write_text(MANIFEST.format(count=count))
    with (folder / "questions.jsonl").open("w") as lines:
        for n in range(count):
            question = " ".join(f"word{(n * 7 + i * 13) % 997}" for i in range(30))
            reference = {"kind": "text", "value": "-" if n % 2 else "yes"}
            line = {"id": f"{n:06}", "fields": {"question": question}, "parts": [], "reference": reference}
            lines.write(json.dumps(line) + "\n")
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as name, serving("--model", "null=null") as (address, _):
        root = Path(name)
        suites = {count: make_suite(root / f"suite-{count}", count) for count in (FEW, MANY)}

        def measured(count: int) -> tuple[float, float]:
            options = ("--model", f"{address}/null", "--new", "--quiet", "--store", root / "runs")
            return finished(BIN / "echelon", "run", suites[count], *options)

        # In turn, for the machine's speed comes and goes.
        runs = [(measured(FEW), measured(MANY)) for _ in range(ROUNDS)]
    few, many = (statistics.median(run[index][0] for run in runs) for index in (0, 1))
    per_sample_ms = (many - few) / (MANY - FEW) * 1000
    fixed_s = few - per_sample_ms * FEW / 1000
    peak_mb = max(run[1][1] for run in runs)
    report(
        "scorer, a sample (10,000 text, journal synced)",
        f"{per_sample_ms:.3f} ms CPU",
        "<= 0.3 ms",
        met=per_sample_ms <= 0.3,
    )
    report("scorer, fixed cost of a run", f"{fixed_s:.2f} s CPU", "<= 1 s", met=fixed_s <= 1)
    report("scorer, peak memory at 10,000 samples", f"{peak_mb:.0f} MB", "<= 200 MB", met=peak_mb <= 200)


if __name__ == "__main__":
    main()
