"""Metrics that people give: ratings in a file, by the digest of what was rated."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from echelon.adapters import Audio, Number, Text
from echelon.adapters.errors import SettingsError
from echelon.scorer.errors import NotComputedError
from echelon.scorer.instruments import Instruments
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.registry import metric

SOUNDS = [Audio.from_array(np.full(20, level), 8000) for level in (0.1, 0.2)]


def rated(folder: Path, name: str, role: str, lines: str) -> Metric:
    """The metric, with these lines of a ratings file at hand."""
    (folder / "ratings.csv").write_text(lines, encoding="utf-8")
    (folder / "instruments.yaml").write_text(
        f"judges:\n  {role}:\n    plugin: ratings\n    settings:\n      path: ratings.csv\n"
    )
    return metric(name, instruments=Instruments.read(folder / "instruments.yaml"))


def line(content: bytes, rating: str) -> str:
    return f"{sha256(content).hexdigest()},{rating}\n"


def test_mos_is_the_mean_over_sounds_of_the_mean_of_their_ratings(tmp_path: Path) -> None:
    first, second = (sound.data for sound in SOUNDS)
    mos = rated(
        tmp_path, "mos", "opinion", "sha256,rating\n" + line(first, "5") + line(first, "4") + line(second, "1.5")
    )
    rows = [mos.sample(sound, [Text("say it")]) for sound in SOUNDS]
    assert mos.finish(rows) == pytest.approx((4.5 + 1.5) / 2)
    assert mos.finish([mos.worst([Text("say it")])]) == 1
    assert mos.id == f"mos@1;full=5;opinion=ratings:{sha256((tmp_path / 'ratings.csv').read_bytes()).hexdigest()}"


def test_an_answer_that_nobody_rated_leaves_the_task_not_computed(tmp_path: Path) -> None:
    mos = rated(tmp_path, "mos", "opinion", "sha256,rating\n")
    with pytest.raises(NotComputedError, match="no rating of the audio with SHA-256"):
        mos.sample(SOUNDS[0], [Text("")])


def test_preference_is_a_share(tmp_path: Path) -> None:
    preference = rated(
        tmp_path, "preference_rate", "preference", "sha256,rating\n" + "".join(line(b"a tale", vote) for vote in "1101")
    )
    assert preference.finish([preference.sample(Text("a tale"), [Text("")])]) == 0.75


def test_a_rating_out_of_range_is_not_computed(tmp_path: Path) -> None:
    mos = rated(tmp_path, "mos", "opinion", "sha256,rating\n" + line(SOUNDS[0].data, "0.5"))
    with pytest.raises(NotComputedError, match="must lie between 1 and 5"):
        mos.sample(SOUNDS[0], [Text("")])


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("digest,mark\n", "the columns sha256 and rating are wanted"),
        ("", "the columns sha256 and rating are wanted"),
        ("sha256,rating\nab,4\ncd,good\n", r"ratings.csv, line 3: the rating 'good' is no number"),
        ("sha256,rating\nab\n", r"line 2: the rating None is no number"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_line(tmp_path: Path, lines: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        rated(tmp_path, "mos", "opinion", lines).sample(SOUNDS[0], [Text("")])


def test_without_a_judge_nothing_is_computed() -> None:
    with pytest.raises(NotComputedError, match="no judge for 'answer'"):
        metric("llm_judge").sample(Text("yes"), [Text("yes")])


def test_marks_that_are_given_are_the_judges(tmp_path: Path) -> None:
    (tmp_path / "instruments.yaml").write_text(
        "judges:\n  answer:\n    plugin: given\n    settings: {name: a judge, digest: abc}\n"
    )
    judged = metric("llm_judge", instruments=Instruments.read(tmp_path / "instruments.yaml"))
    assert judged.finish([judged.sample(Number(mark), [Text("")]) for mark in (1, 0.5)]) == 0.75
    assert judged.id.endswith("answer=a judge:abc")
