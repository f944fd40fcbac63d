"""Processor time of `echelon levels` on a full workbook, and of the arithmetic alone.

With the benchmark's own files at ECHELON_GENERAL_BENCH a submission with a score for every task; else a copy of the
published sotas, written here. Where the official ranker took 1.06 s, its arithmetic took 2.7 ms.
"""

from __future__ import annotations

import os
import sys
import tempfile
import timeit
from pathlib import Path

import xlsxwriter
from harness import BIN, finished, report

from echelon.scorer.editions import synergy
from echelon.scorer.general_bench.catalogue import SHEETS, catalogue
from echelon.scorer.general_bench.standings import grades
from echelon.scorer.general_bench.submissions import submissions
from echelon.scorer.general_bench.workbooks import read

FOLDER = os.environ.get("ECHELON_GENERAL_BENCH")


def full_workbook(folder: Path) -> Path:
    """A workbook whose model reaches every sota exactly."""
    path = folder / "sota-copy_result.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name in SHEETS:
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, ("No", "Task Name", "Task Short Name", "Metrics", "sota-copy"))
            entries = (entry for entry in catalogue().entries if entry.sheet == name)
            for at, entry in enumerate(entries, 1):
                sheet.write_row(at, 0, (int(entry.no), entry.task, entry.short_name, entry.metric, entry.sota))
    return path


def command(name: str, most_s: float, *arguments: str | Path) -> None:
    """Medians of nine runs, in turn with an interpreter that does nothing."""
    pairs = [(finished(BIN / "echelon", *arguments)[0], finished(sys.executable, "-c", "pass")[0]) for _ in range(9)]
    seconds = sorted(run - start for run, start in pairs)[4]
    report(name, f"{seconds:.3f} s CPU beyond the interpreter", f"<= {most_s} s", met=seconds <= most_s)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(FOLDER, "synth-full-s2_result.xlsx") if FOLDER else full_workbook(Path(name))
        command("echelon levels, 699 rows, two editions", 0.3, "levels", path)
        command("echelon levels --json, 699 rows, two editions", 0.3, "levels", path, "--json")
        command("echelon levels, the official edition", 0.6, "levels", path, "--edition", "official-2025-07")
        (submission,) = submissions(read(path), catalogue())
    for edition in ("2024", "2025"):
        runs = timeit.repeat(
            lambda edition=edition: synergy(edition, grades(submission, edition)), number=20, repeat=15
        )
        milliseconds = sorted(runs)[7] / 20 * 1000
        what = f"sigmas, gates and levels of 699 tasks, edition {edition}"
        report(what, f"{milliseconds:.2f} ms", "< 1 ms", met=milliseconds < 1)


if __name__ == "__main__":
    main()
