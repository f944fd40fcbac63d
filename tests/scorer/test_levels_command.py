"""`echelon levels`, as typed, on good files and on bad ones."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from echelon.adapters.errors import EchelonError
from echelon.scorer.commands.levels import levels
from echelon.scorer.general_bench.catalogue import catalogue

FACTS = Path(__file__).parent / "published"
HEAD = ("No", "Task Name", "Task Short Name", "Metrics")
SOTAS = {(entry.sheet, entry.task): entry for entry in catalogue().entries}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(levels, [str(argument) for argument in arguments])


def results(*arguments: object) -> list[dict[str, Any]]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.output)["results"]
    return found


def one(*arguments: object) -> dict[str, Any]:
    return results(*arguments, "--edition", "2025")[0]


def told(result: Mapping[str, Any]) -> list[tuple[str, str, list[int]]]:
    """Rule, sheet and rows of the findings that are not about missing tasks."""
    return [
        (each["rule"], each["sheet"], each["rows"]) for each in result["findings"] if each["rule"] != "missing task"
    ]


def workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[object]]]) -> Path:
    """An .xlsx file of these rows."""
    import xlsxwriter

    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            style = book.add_format({"num_format": "yyyy-mm-dd"})
            for at, row in enumerate(rows):
                for column, value in enumerate(row):
                    if isinstance(value, date):
                        sheet.write_datetime(at, column, value, style)
                    elif value is not None:
                        sheet.write(at, column, value)
    return path


def official_rows(sheet: str, model: str, scores: Mapping[str, object]) -> list[Sequence[object]]:
    """An official sheet with these scores by task."""
    entries = [entry for entry in catalogue().entries if entry.sheet == sheet]
    rows = [(int(e.no), e.task, e.short_name, e.metric, scores.get(e.task)) for e in entries]
    return [(*HEAD, model), *rows]


def table(path: Path, *rows: Sequence[object]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def number_of(sheet: str, task: str) -> int:
    """The row of a task on an official sheet."""
    return next(i for i, e in enumerate((e for e in catalogue().entries if e.sheet == sheet), 2) if e.task == task)


def test_rows_are_matched_by_name_in_whatever_order_case_and_width(tmp_path: Path) -> None:
    scores = {"3D Odometry": 0.4, "3D Detection": 70, '3D Situated Question Answering on "Is"': 68}
    head, *rows = official_rows("3D-Comprehension", "m", scores)
    ordered = workbook(tmp_path / "ordered.xlsx", {"3D-Comprehension": [head, *rows]})
    shuffled = [
        (no, f"{task} ".upper(), short, str(metric).lower(), cell) for no, task, short, metric, cell in rows[::-1]
    ]
    other = workbook(tmp_path / "other.xlsx", {"3d-comprehension": [("a title",), head, *shuffled]})
    assert one(ordered)["overall"] == one(other)["overall"]
    assert one(ordered)["overall"]["S3"] > 0
    assert told(one(other)) == []


IMAGE, AUDIO = "Image-Comprehension", "Audio-Generation"
BAD_CELLS = [
    (AUDIO, "TextToSpeech", 500, "impossible value", "lies in 0 to 100 %"),
    (AUDIO, "TextToSpeech", -1, "impossible value", "lies in 0 to 100 %"),
    (AUDIO, "SingingVoiceSynthesis", 5.5, "impossible value", "lies in 1 to 5"),
    (IMAGE, "Crowd Counting", -3, "impossible value", "at least 0"),
    (IMAGE, "Human Action Recognition", 100.5, "impossible value", "0 to 100 %"),
    (IMAGE, "Human Action Recognition", "n/a", "not a number", "'n/a' is no number"),
    (IMAGE, "Human Action Recognition", "98.5 %", "not a number", "write it as in 98.5"),
    (IMAGE, "Human Action Recognition", "8_0", "not a number", "'8_0' is no number"),
    (IMAGE, "Human Action Recognition", "NaN", "not a number", "NaN"),
    (IMAGE, "Human Action Recognition", "∞", "not a number", "only where lower is better"),
    (IMAGE, "Human Action Recognition", "inf", "not a number", "only where lower is better"),
    (IMAGE, "Human Action Recognition", True, "not a number", "True is no number"),
    (IMAGE, "Human Action Recognition", date(2025, 7, 1), "not a number", "2025-07-01"),
    (IMAGE, "Human Action Recognition", 0.8, "maybe a fraction", "beside a sota of 82.3"),
    (AUDIO, "TextToSpeech", 0, "zero", "could be perfect"),
]


@pytest.mark.parametrize(("sheet", "task", "value", "rule", "words"), BAD_CELLS)
def test_an_odd_value_is_told_with_sheet_and_row_and_the_rest_is_read(
    tmp_path: Path, sheet: str, task: str, value: object, rule: str, words: str
) -> None:
    beside = {IMAGE: "Sports Image Classification", AUDIO: "AudioEdit"}[sheet]
    path = workbook(tmp_path / "odd.xlsx", {sheet: official_rows(sheet, "m", {task: value, beside: 50})})
    found = one(path)
    assert told(found) == [(rule, sheet, [number_of(sheet, task)])]
    finding = next(each for each in found["findings"] if each["rule"] == rule)
    assert words in finding["message"]
    assert task in finding["message"]
    assert (finding["file"], finding["model"]) == ("odd.xlsx", "m")
    assert found["supported"] == (2 if rule == "maybe a fraction" else 1)


def test_a_formula_that_fails_is_told_and_one_that_works_is_read(tmp_path: Path) -> None:
    import xlsxwriter

    path = tmp_path / "formulas.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("notes")
        sheet = book.add_worksheet(AUDIO)
        sheet.write_row(0, 0, (*HEAD, "m"))
        sheet.write_row(1, 0, (1, "AudioEdit", "", "CLAP"))
        sheet.write_formula(1, 4, "=1/0", None, "#DIV/0!")
        sheet.write_row(2, 0, (2, "SingleCaptionToAudio", "", "CLAP"))
        sheet.write_formula(2, 4, "=30+7", None, 37)
    found = one(path)
    assert told(found) == [("unknown sheet", "notes", []), ("not a number", AUDIO, [2])]
    assert (found["supported"], found["paradigms"]["audio-generation"]["S2"]) == (1, pytest.approx(37 / 20))
    assert "'#DIV/0!' is no number" in run(path).output


@pytest.mark.parametrize("mark", ["∞", "inf", None, ""])
def test_the_official_marks_for_unsupported_tasks_are_no_oddity(tmp_path: Path, mark: object) -> None:
    rows = official_rows(AUDIO, "m", {"TextToSpeech": mark, "AudioEdit": 50})
    found = one(workbook(tmp_path / "marks.xlsx", {AUDIO: rows}))
    assert (told(found), found["supported"]) == ([], 1)


def test_rows_that_belong_nowhere_are_told_one_by_one(tmp_path: Path) -> None:
    path = table(
        tmp_path / "rows.csv",
        ("Sheet", "Task Name", "Metrics", "m"),
        (IMAGE, "Human Action Recognition", "Acc", "80"),
        (IMAGE, "Human Action Recogniton", "Acc", "80"),
        (IMAGE, "Crowd Counting", "Acc", "80"),
        (IMAGE, "Face Counting", "MAEE", "8"),
        ("Smell-Comprehension", "Rose Recognition", "Acc", "80"),
        (IMAGE, "", "Acc", "80"),
        ("", "", "", ""),
        (IMAGE, "Seed Counting", "MAE"),
    )
    found = one(path)
    assert found["supported"] == 1
    assert sorted(told(found), key=lambda each: each[2]) == [
        ("unknown task", IMAGE, [3]),
        ("other metric", IMAGE, [4]),
        ("unknown metric", IMAGE, [5]),
        ("unknown sheet", "Smell-Comprehension", [6]),
        ("unknown task", IMAGE, [7]),
        ("missing column", "", [9]),
    ]
    messages = "\n".join(each["message"] for each in found["findings"])
    assert "Human Action Recognition" in messages
    assert "'MAE' is wanted" in messages


def test_rows_of_one_task_are_read_only_if_they_agree(tmp_path: Path) -> None:
    head = ("Sheet", "Task Name", "Metrics", "m")
    row = (IMAGE, "Human Action Recognition", "Acc")
    same = one(table(tmp_path / "same.csv", head, (*row, 80), (*row, 80)))
    other = one(table(tmp_path / "other.csv", head, (*row, 80), (*row, 81)))
    assert (same["supported"], other["supported"]) == (1, 0)
    assert told(same) == told(other) == [("duplicate", IMAGE, [2, 3])]


def test_tasks_without_a_row_count_0_and_are_told_by_sheet(tmp_path: Path) -> None:
    path = table(tmp_path / "few.csv", ("Sheet", "Task", "Metric", "m"), (AUDIO, "AudioEdit", "CLAP", 40))
    found = one(path)
    missing = [each for each in found["findings"] if each["rule"] == "missing task"]
    assert [each["sheet"] for each in missing] == list(dict.fromkeys(sheet for sheet, _ in SOTAS))
    assert found["paradigms"]["audio-generation"]["S2"] == pytest.approx(40 / 20)


def fractions(path: Path) -> Path:
    """A sheet in fractions, and WER in fractions on a sheet in percent."""
    language = {task: 0.5 for sheet, task in SOTAS if sheet == "NLP" and SOTAS[sheet, task].metric == "ACC"}
    percent = {"AudioEdit": 40, "SingleCaptionToAudio": 41, "MusicStyleTransfer": 20}
    wer = {task: 0.05 for sheet, task in SOTAS if SOTAS[sheet, task].metric == "WER"}
    sheets = {"NLP": official_rows("NLP", "m", language), AUDIO: official_rows(AUDIO, "m", {**percent, **wer})}
    return workbook(path, sheets)


def test_columns_of_fractions_are_taken_times_100_and_told(tmp_path: Path) -> None:
    found = one(fractions(tmp_path / "fractions.xlsx"))
    assert [(rule, sheet, len(rows)) for rule, sheet, rows in told(found)] == [
        ("fractions", "NLP", 17),
        ("fractions", AUDIO, 5),
    ]
    assert found["paradigms"]["language"]["S2"] == pytest.approx(17 * 50 / 115)
    # All five are below the specialists' 5.6 % and more.
    assert found["paradigms"]["audio-generation"]["S2"] == pytest.approx((40 + 41 + 20 + 5 * 95) / 20)


def test_units_are_left_alone_on_demand(tmp_path: Path) -> None:
    found = one(fractions(tmp_path / "fractions.xlsx"), "--units", "percent")
    assert {rule for rule, _, _ in told(found)} == set()
    assert found["paradigms"]["language"]["S2"] == pytest.approx(17 * 0.5 / 115)


def test_json_has_overall_scores_and_those_of_every_part() -> None:
    emu = next(each for each in results(FACTS / "2025.csv") if (each["model"], each["edition"]) == ("Emu2-32B", "2025"))
    assert emu["level"] == 4
    assert emu["headline"].startswith("Level 4 on General-Bench@")
    assert emu["headline"].endswith(", edition 2025")
    assert emu["overall"] == pytest.approx({"S2": 7.724, "S3": 1.2946, "S4": 0.31334, "S5": 0}, abs=1e-4)
    assert emu["modalities"]["image"] == pytest.approx({"S2": 30.896, "S3": 5.178, "S4": 1.2533, "S5": 0}, abs=1e-3)
    assert list(emu["modalities"]) == ["image", "video", "audio", "3d"]
    assert emu["paradigms"]["image-generation"]["S4"] is None
    drawing = emu["skills"]["image-generation"]["Txt2Img Gen"]
    assert drawing["S2"] > drawing["S3"] >= 0
    assert (emu["tasks"], emu["supported"]) == (699, 212)


def test_both_editions_stand_side_by_side_and_the_level_never_alone() -> None:
    text = run(FACTS / "2024.csv").output
    assert "edition 2024" in text
    assert "edition 2025" in text
    single = run(FACTS / "2025.csv", "--scope", "B:image").output
    assert "Levels on image of General-Bench@" in single
    assert max(map(len, run(FACTS / "2025.csv").output.splitlines())) <= 100


def test_models_of_several_files_make_one_leaderboard_beside_the_published_one(tmp_path: Path) -> None:
    path = table(tmp_path / "mine.csv", ("Sheet", "Task", "Metric", "mine"), (AUDIO, "AudioEdit", "CLAP", 40))
    done = run(FACTS / "2025.csv", path, "--edition", "2025")
    board = done.output.partition("Beside the")[0].splitlines()
    assert [line.split()[1] for line in board[2:7]] == ["Emu2-32B", "GPT-4o", "Qwen-Audio-Chat", "LISA", "mine"]
    assert "Beside the 88 published models with a score at level 2" in done.output
    published = json.loads(run(FACTS / "2025.csv", "--json").output)["published"]
    mine = [
        (seat["level"], seat["rank"]) for seat in published if not seat["published"] and seat["model"] == "Emu2-32B"
    ]
    assert mine == [(2, 11), (3, 53), (4, 3)]
    assert sum(seat["published"] for seat in published) == 88 + 81 + 3


def test_the_published_board_says_which_rule_its_numbers_follow_and_which_the_level_does(tmp_path: Path) -> None:
    row = (AUDIO, "AudioEdit", "CLAP", 99)
    path = table(tmp_path / "mine.csv", ("Sheet", "Task", "Metric", "one-skill"), row)
    done = run(path, "--edition", "2025")
    assert "Level 1 on General-Bench" in done.output
    beside = done.output.partition("Beside the 81 published models with a score at level 3")[2].splitlines()
    assert "ranked by S3: a score above 0, as in the paper; the level is that of edition 2025" in beside[1]
    mine = next(line for line in beside if "one-skill" in line)
    assert mine.split()[-2:] == ["level", "1"]
    assert all(line.endswith("not known") for line in beside[3:6] if line and "one-skill" not in line)
    published = json.loads(run(path, "--json").output)["published"]
    assert {seat["reached"] for seat in published if seat["published"]} == {None}
    assert {seat["reached"] for seat in published if not seat["published"]} == {1}
    assert {seat["rule"] for seat in published} == {"a score above 0, as in the paper"}


@pytest.mark.parametrize("composition", ["dispatcher", "agent"])
def test_a_dispatcher_stays_at_level_2(composition: str) -> None:
    found = results(FACTS / "2025.csv", "--composition", composition)
    assert {each["level"] for each in found} == {2}
    assert not any(each["synergy_counts"] for each in found)
    assert any(each["overall"]["S3"] > 0 for each in found)
    assert "not synergy" in found[0]["notes"][0]


def test_scopes_narrow_what_is_scored() -> None:
    by_scope = {
        scope: {each["model"]: each for each in results(FACTS / "2025.csv", "--edition", "2025", "--scope", scope)}
        for scope in ("A", "B:image", "C:image-generation", "D:image-generation:Txt2Img Gen")
    }
    whole = by_scope["A"]["Emu2-32B"]
    assert by_scope["B:image"]["Emu2-32B"]["overall"] == whole["modalities"]["image"]
    alone = by_scope["C:image-generation"]["Emu2-32B"]
    assert alone["overall"] == whole["paradigms"]["image-generation"]
    assert alone["level"] == 3
    skill = by_scope["D:image-generation:Txt2Img Gen"]["Emu2-32B"]
    assert skill["overall"] == whole["skills"]["image-generation"]["Txt2Img Gen"]
    assert skill["level"] == 1


def test_another_sota_makes_other_winners(tmp_path: Path) -> None:
    head = ("modality", "paradigm", "skill", "task", "metric", "sota")
    sota = table(
        tmp_path / "easy.csv",
        head,
        ("image", "comprehension", "reading", "Letters", "Acc", 50),
        ("image", "generation", "drawing", "Circles", "FID", 30),
        ("language", "language", "talking", "Jokes", "F1", 10),
        ("image", "comprehension", "counting", "Dots", "MAE", -4),
        ("image", "generation", "drawing", "circles", "FID", 10),
        ("image", "generation", "drawing", "Squares", "FIDDLE", 10),
    )
    model = table(
        tmp_path / "m.csv",
        ("modality", "paradigm", "task", "metric", "m"),
        ("image", "comprehension", "Letters", "ACC", 60),
        ("image", "generation", "Circles", "FID", 20),
        ("", "nlp", "Jokes", "F1", 20),
        ("image", "comprehension", "Dots", "MAE", 1),
    )
    found = one(model, "--sota", sota)
    assert found["headline"].startswith("Level 5 on easy@")
    dots = 99.99999999999999
    assert found["paradigms"]["image-comprehension"] == pytest.approx(
        {"S2": (60 + dots) / 2, "S3": 30, "S4": None, "S5": None}
    )
    document = json.loads(run(model, "--sota", sota, "--json").output)
    said = [(each["rule"], each["rows"]) for each in document["findings"]]
    assert said == [("duplicate", [6]), ("unknown metric", [7]), ("impossible value", [5])]
    assert document["published"] == []


def test_the_official_edition_stops_where_the_ranker_would(tmp_path: Path) -> None:
    found = results(FACTS / "2025.csv", "--edition", "official-2025-07")[0]
    assert found["overall"] == {"S2": None, "S3": None, "S4": None, "S5": None}
    assert found["headline"].startswith("No level on")
    assert "sheets differ" in found["findings"][-1]["message"]


def test_a_file_that_cannot_be_read_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "broken.xlsx").write_bytes(b"no zip at all")
    (tmp_path / "latin.csv").write_bytes("Sheet,Task,Metric,m\nNLP,\xe9,ACC,1\n".encode("latin-1"))
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "scores.txt").write_text("")
    table(tmp_path / "headless.csv", (IMAGE, "Crowd Counting", "MAE", 3))
    table(tmp_path / "nobody.csv", ("Sheet", "Task", "Metric"), (IMAGE, "Crowd Counting", "MAE"))
    workbook(tmp_path / "strange.xlsx", {"Tabelle1": [HEAD]})
    names = [
        "broken.xlsx",
        "latin.csv",
        "list.json",
        "scores.txt",
        "headless.csv",
        "nobody.csv",
        "strange.xlsx",
        "gone.csv",
    ]
    done = run(*(tmp_path / name for name in names), FACTS / "2025.csv", "--json")
    assert done.exit_code == 1
    errors = done.stderr.splitlines()
    assert len(errors) == len(names)
    assert all(name in error for name, error in zip(names, errors, strict=True))
    assert len(json.loads(done.stdout)["results"]) == 8


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["task", "cls", "metric", "sota"]), inner)
    ),
    max_leaves=4,
)


@st.composite
def tasks(draw: st.DrawFn) -> dict[str, object]:
    """Something like a task of a JSON table."""
    fixed = {"scores": st.lists(VALUES, min_size=1, max_size=1), "sota": VALUES, "cls": VALUES, "task": VALUES}
    return {"sheet": IMAGE, "metric": "Acc", **{name: draw(value) for name, value in fixed.items()}}


CELLS = (
    st.text(max_size=6) | st.floats().map(str) | st.integers().map(str) | st.sampled_from([*HEAD, IMAGE, "m", "sota"])
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=6), max_size=6))
def test_no_table_whatsoever_ends_in_a_traceback(rows: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = table(Path(folder, "any.csv"), ("Sheet", "Task Name", "Metrics", "m", "sota"), *rows)
        done = run(path, "--json")
    assert done.exit_code in (0, 1)
    assert done.exception is None or isinstance(done.exception, SystemExit)


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({"models": st.just(["m"]), "tasks": st.lists(VALUES | tasks(), max_size=4)}))
def test_no_json_whatsoever_ends_in_a_traceback(document: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "any.json")
        path.write_text(json.dumps(document))
        done = run(path, "--json")
    assert done.exit_code in (0, 1)
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_numbers_that_no_float_holds_are_told(tmp_path: Path) -> None:
    huge = {"sheet": IMAGE, "task": "Crowd Counting", "metric": "MAE", "scores": [10**400]}
    path = tmp_path / "huge.json"
    path.write_text(json.dumps({"models": ["m"], "tasks": [huge]}))
    assert told(one(path)) == [("not a number", IMAGE, [1])]


def test_what_is_unknown_is_refused_by_name(tmp_path: Path) -> None:
    assert run(FACTS / "2025.csv", "--edition", "2023").exit_code == 2
    assert run(FACTS / "2025.csv", "--edition", "official-2025-07", "--scope", "B:image").exit_code == 2
    refused = run(FACTS / "2025.csv", "--scope", "B:smell")
    assert isinstance(refused.exception, EchelonError)
    no_skill = run(FACTS / "2025.csv", "--scope", "D:image-generation:Txt2Img")
    assert isinstance(no_skill.exception, EchelonError)
    assert "Txt2Img Gen" in str(no_skill.exception)
    no_sota = run(FACTS / "2025.csv", "--sota", FACTS / "2025.csv")
    assert isinstance(no_sota.exception, EchelonError)
    assert "SoTA Performance" in str(no_sota.exception)


def test_nothing_heavy_is_loaded() -> None:
    program = (
        "import sys; from echelon.cli import main; sys.argv[1:] = ['levels', *sys.argv[1:]]\n"
        "try: main()\n"
        "finally: print(*{'numpy', 'scipy', 'sqlalchemy', 'google', 'rich'} & sys.modules.keys(), file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, str(FACTS / "2025.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Levels on General-Bench@" in done.stdout
    assert done.stderr.strip() == ""
