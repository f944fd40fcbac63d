"""Processor time and memory of commands that people wait for, and of a server that has nothing to load."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from harness import BIN, cpu_s, finished, peak_mb, report, serving

BROKEN = (
    "gone_{n}:Adapter",  # the module is not there
    "no class at all",  # no entry point
    "json",  # names no class
    "raises_{n}:Adapter",  # raises when imported
    "json:dumps",  # no adapter
)


def broken_plugins(site: Path, count: int) -> None:
    """Distributions whose adapters cannot be used, in five ways."""
    for n in range(count):
        value = BROKEN[n % len(BROKEN)].format(n=n)
        (site / f"raises_{n}.py").write_text("raise RuntimeError('never imported by list')\n")
        info = site / f"broken_{n}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: broken-{n}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[echelon.adapters]\nbroken{n} = {value}\n")


def command(name: str, most_s: float, *arguments: str) -> None:
    runs = [finished(BIN / "echelon", *arguments) for _ in range(5)]
    seconds, megabytes = sorted(run[0] for run in runs)[2], max(run[1] for run in runs)
    met = seconds <= most_s and megabytes <= 60
    report(name, f"{seconds:.2f} s CPU, {megabytes:.0f} MB", f"<= {most_s} s, 60 MB", met=met)


def main() -> None:
    command("echelon --help", 0.3, "--help")
    with tempfile.TemporaryDirectory() as name:
        broken_plugins(Path(name), 50)
        os.environ["PYTHONPATH"] = name
        command("echelon adapters list, 50 broken plug-ins", 0.5, "adapters", "list")
        del os.environ["PYTHONPATH"]
        empty = Path(name) / "empty.yaml"
        empty.write_text("models: []\n")
        with serving("--config", str(empty)) as (_, pid):
            seconds, megabytes = cpu_s(pid), peak_mb(pid)
    met = seconds <= 0.8 and megabytes <= 90
    report("server ready without a model", f"{seconds:.2f} s CPU, {megabytes:.0f} MB", "<= 0.8 s, 90 MB", met=met)


if __name__ == "__main__":
    main()
