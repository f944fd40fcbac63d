"""Published scores, from the facts beside this file and, where they are at hand, from the benchmark's own files."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from echelon.scorer.general_bench.catalogue import SHEETS, Catalogue, catalogue, leaderboard, plain
from echelon.scorer.general_bench.findings import Rule
from echelon.scorer.general_bench.official_ranker import Fault, official_standing
from echelon.scorer.general_bench.standings import Standing, standing
from echelon.scorer.general_bench.submissions import stated_catalogue, submissions
from echelon.scorer.general_bench.workbooks import Book, read

FACTS = Path(__file__).parent / "published"
FOLDER = os.environ.get("ECHELON_GENERAL_BENCH")
FOLDERS = [Path(FOLDER)] if FOLDER else []

# S2, S3, S4 as the tutorial's site prints them.
EQUAL_2024 = {
    "GPT-4V": (8.04, 2.62, 0),
    "LLaVA 1.5(7B)": (9.02, 4.77, 0),
    "InternVL": (11.65, 7.24, 0),
    "MoE-LLaVA-QWen-1.8B-4e": (7.15, 2.89, 0),
    "BLIP-2": (4.62, 0, 0),
    "MiniGPT-4": (2.54, 0, 0),
    "miniGemnini(7B)": (21.23, 11.12, 11.04),
    "Emu2(37B)": (49.53, 12.79, 12.09),
    "SEED-LLaMA(14B-sft)": (12.24, 3.39, 0),
    "InternLM-XComposer2(7B)": (11.86, 4.78, 0),
    "Ospery": (6.81, 2.18, 0),
    "NextChat": (7.65, 0, 0),
    "OMG-LLaVA-InternLM(20B)": (11.74, 8.37, 0),
}
# What the site prints, and what its own table of scores gives: the scores that differ are the site's inconsistencies.
DIFFERENT_2024 = {
    "GPT-4o": ((13.78, 3.86, 0), (12.23, 3.86, 0)),
    "Qwen-VL-Plus": ((11.54, 6.90, 0), (11.01, 6.90, 0)),
    "Yi-VL(6B)": ((11.55, 4.83, 0), (10.64, 4.83, 0)),
    "GPT4ROI": ((1.46, 0.01, 0), (1.46, 0, 0)),
    "GlaMM": ((9.11, 6.06, 0), (7.64, 2.06, 0)),
    "AnyGPT": ((11.74, 7.79, 0), (27.42, 7.79, 0)),  # the printed S2 is OMG-LLaVA's
    "NExT-GPT": ((17.02, 11.09, 7.6), (27.18, 11.07, 7.64)),  # 27.02 was edited into 17.02 by hand
    "Vitron": ((45.34, 16.84, 12.33), (45.40, 16.84, 14.33)),  # 14.33 was edited into 12.33 by hand
    "LaVIT-V2(7B)": ((27.47, 8.99, 8.04), (11.42, 3.08, 0)),
}
PUBLISHED_2025 = {
    "Emu2-32B": ("image", (30.90, 5.18, 1.25)),
    "GPT-4o": ("image", (19.67, 14.51, 0)),
    "LISA": ("image", (1.27, 0.82, 0)),
    "Qwen-Audio-Chat": ("audio", (28.39, 10.57, 0)),
}
# S2 to S5 of the official ranker at full precision.
OFFICIAL = {
    "Emu2-32B": (7.585106155869944, 1.2945891792519315, 0.3133352172951106, 0.0),
    "GPT-4o": (4.9180473260192255, 3.6282726631745743, 0.0, 0.0),
    "LISA": (0.31797828292375674, 0.2044681353222807, 0.0, 0.0),
    "Qwen-Audio-Chat": (7.098906249999999, 2.6427604166666665, 0.0, 0.0),
}
OFFICIAL_COPY = (112.20786464365304, 112.20786464365304, 156.21245112919934, 98.83674852003352)
OFFICIAL_COPY_AUDIO = (-25.247883765826458, -25.247883765826458, 380.02010078399974)


def standings(path: Path, edition: str) -> dict[str, Standing]:
    book = read(path)
    against = stated_catalogue(book)[0] if book.has_sota else catalogue()
    return {each.model: standing(each, edition) for each in submissions(book, against)}


def scores(found: Standing) -> tuple[float, ...]:
    return tuple(found.overall[name] or 0.0 for name in ("S2", "S3", "S4", "S5"))


@pytest.mark.parametrize("path", [FACTS / "2024.csv", *(folder / "edition-2024.json" for folder in FOLDERS)])
def test_2024_gives_the_tutorials_scores_to_two_decimals(path: Path) -> None:
    found = standings(path, "2024")
    rounded = {model: tuple(round(score, 2) for score in scores(each)[:3]) for model, each in found.items()}
    assert {model: rounded[model] for model in EQUAL_2024} == EQUAL_2024
    assert {model: rounded[model] for model in DIFFERENT_2024} == {m: ours for m, (_, ours) in DIFFERENT_2024.items()}
    assert found.keys() == EQUAL_2024.keys() | DIFFERENT_2024.keys()
    assert all(printed != ours for printed, ours in DIFFERENT_2024.values())
    assert all(each.overall["S5"] == 0 for each in found.values())


@pytest.mark.parametrize(
    "path", [FACTS / "2025.csv", *(folder / f"{model}_result.xlsx" for folder in FOLDERS for model in PUBLISHED_2025)]
)
def test_2025_gives_the_papers_scores(path: Path) -> None:
    for model, found in standings(path, "2025").items():
        modality, published = PUBLISHED_2025[model]
        assert list(found.by_modality[modality].values())[:3] == pytest.approx(published, abs=0.015)
        assert scores(found)[:3] == pytest.approx([score / 4 for score in published], abs=0.015)
        assert found.level == (4 if model == "Emu2-32B" else 3)


def test_an_ms_ssim_of_0_counts_as_published_unless_told_otherwise() -> None:
    found = {each.model: each for each in submissions(read(FACTS / "2025.csv"), catalogue())}
    with_map, without = standing(found["Emu2-32B"], "2025"), standing(found["Emu2-32B"], "2025", ms_ssim_of_0=0)
    assert with_map.by_modality["image"]["S2"] == pytest.approx(30.90, abs=0.015)
    assert without.by_modality["image"]["S2"] == pytest.approx(30.34, abs=0.015)
    assert [finding.rule for finding in with_map.findings] == [Rule.PAPER]
    assert (without.findings, scores(without)[1:]) == ((), scores(with_map)[1:])


@pytest.fixture
def whole_sheets(tmp_path: Path) -> Path:
    """The facts of 2025 on sheets with all 699 rows, since the official ranker goes by position; and a copy of sota."""
    with (FACTS / "2025.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    known = {(sheet, plain(task)): cells for sheet, task, _, *cells in rows}
    path = tmp_path / "whole.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow([*head, "sota-copy"])
        for entry in catalogue().entries:
            cells = known.get((entry.sheet, plain(entry.task)), [""] * (len(head) - 3))
            table.writerow([entry.sheet, entry.task, entry.metric, *cells, entry.sota])
    return path


def official(book: Book) -> dict[str, Standing]:
    return {each.model: official_standing(each, book) for each in submissions(book, catalogue())}


def test_the_official_ranker_is_reproduced(whole_sheets: Path) -> None:
    found = official(read(whole_sheets))
    for model, expected in {**OFFICIAL, "sota-copy": OFFICIAL_COPY}.items():
        assert scores(found[model]) == pytest.approx(expected, abs=1e-9)
    audio = found["sota-copy"].by_modality["audio"]
    assert list(audio.values())[:3] == pytest.approx(OFFICIAL_COPY_AUDIO, abs=1e-9)
    for folder in FOLDERS:
        check_golden(folder)


def check_golden(folder: Path) -> None:
    for golden in json.loads((folder / "official-ranker-golden.json").read_text()).values():
        found = official(read(folder / golden["workbook"]))[golden["model_column"]]
        assert scores(found) == pytest.approx(list(golden["official"]["final"].values()), abs=1e-9)
        for modality, expected in golden["official"]["modalities"].items():
            assert list(found.by_modality[modality.lower()].values())[:3] == pytest.approx(expected, abs=1e-9)


def test_the_faults_that_changed_a_score_stand_beside_it(whole_sheets: Path) -> None:
    found = official(read(whole_sheets))
    faults = {model: {finding.message.partition(";")[0] for finding in each.findings} for model, each in found.items()}
    assert faults["GPT-4o"] == set()
    assert faults["Emu2-32B"] == {Fault.MS_SSIM, Fault.EPSILON}
    disorder = "S3 112.208 < S4 156.212"
    assert faults["sota-copy"] == {Fault.WER, Fault.LABELS, Fault.NEGATIVE, Fault.EPSILON, disorder}
    wer = next(finding for finding in found["sota-copy"].findings if finding.message.startswith(Fault.WER))
    rows = [row for row, entry in enumerate(catalogue().entries, 2) if entry.metric == "WER"]
    assert (wer.sheet, list(wer.rows)) == ("Audio-Generation", rows)


def test_the_catalogue_has_the_benchmarks_sheets_and_skills() -> None:
    entries = catalogue().entries
    sizes = {sheet: sum(entry.sheet == sheet for entry in entries) for sheet in SHEETS}
    assert list(sizes.values()) == [115, 271, 45, 126, 46, 24, 20, 30, 22]
    skills = [len({entry.skill for entry in entries if entry.sheet == sheet}) for sheet in SHEETS]
    assert skills == [1, 40, 15, 20, 6, 9, 11, 13, 9]
    assert len({entry.metric for entry in entries}) == 70


def test_a_table_of_the_same_sotas_is_the_same_catalogue(tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    with copy.open("w", encoding="utf-8", newline="") as file:
        rows = ((entry.sheet, entry.task, entry.metric, entry.sota) for entry in catalogue().entries)
        csv.writer(file).writerows([("Sheet", "Task Name", "Metrics", "SoTA Performance"), *rows])
    for path in (copy, *(folder / "sota_result.xlsx" for folder in FOLDERS)):
        stated, findings = stated_catalogue(read(path))
        assert (stated.label, findings) == (catalogue().label, ())
        assert Catalogue("General-Bench", stated.entries[1:]).label != stated.label


def test_the_published_leaderboard_is_whole() -> None:
    rows = leaderboard()
    assert [sum(row.level == level for row in rows) for level in (2, 3, 4)] == [88, 81, 3]
    best = rows[0]
    assert (best.model, best.by_modality, best.overall) == ("Unified-io-2-XXL", (20.62, 8.56, 25.63, 0), 13.70)
