"""Makes the package data of `echelon.scorer.general_bench` out of the benchmark's own files, names kept verbatim.

python scorer/build_catalogue.py FOLDER, which holds `sota_result.xlsx`, `skills_by_task.csv` and the published
`leaderboard-2025-level{2,3,4}.csv`.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from python_calamine import CalamineWorkbook

TARGET = Path(__file__).parent / "echelon/scorer/general_bench"
LANGUAGE_SHEET = "NLP"
LEVELS = (2, 3, 4)


def main(folder: Path) -> None:
    """Write both tables."""
    write("catalogue.csv", ("sheet", "skill", "no", "task", "short_name", "metric", "sota"), tasks(folder))
    head = ("level", "model", "paradigms", "image", "video", "audio", "3d", "overall")
    write("leaderboard.csv", head, published(folder))


def tasks(folder: Path) -> Iterable[Sequence[object]]:
    """The rows of every sheet in its order; the sheet of language has no skills."""
    with (folder / "skills_by_task.csv").open(encoding="utf-8", newline="") as file:
        skills = {(row["sheet"], row["task"]): row["skill"] for row in csv.DictReader(file)}
    book = CalamineWorkbook.from_path(folder / "sota_result.xlsx")
    for sheet in book.sheet_names:
        for no, task, short_name, metric, sota in book.get_sheet_by_name(sheet).to_python()[1:]:
            skill = "Language" if sheet == LANGUAGE_SHEET else skills[sheet, str(task)]
            yield sheet, skill, f"{no:g}", task, short_name, metric, sota


def published(folder: Path) -> Iterable[Sequence[object]]:
    """The leaderboard of scope A as the paper prints it."""
    for level in LEVELS:
        with (folder / f"leaderboard-2025-level{level}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                scores = (row[name] for name in ("image", "video", "audio", "3d", "overall"))
                yield level, row["model"], row["paradigm"], *scores


def write(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One CSV file of the package."""
    with (TARGET / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows((head, *rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
