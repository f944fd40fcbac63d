"""Which metric stands for another in a profile."""

import pytest

from echelon.scorer.errors import NotComputedError, UnknownNameError
from echelon.scorer.metrics.profiles import OFFICIAL, in_profile
from echelon.scorer.metrics.registry import BUILT_IN


def test_strict_is_the_metric_itself() -> None:
    assert in_profile("bleu1", "strict", "image") == "bleu1"


def test_official_is_what_the_modalitys_script_computes() -> None:
    assert in_profile("accuracy", "official", "video") == "accuracy_contains_official"
    assert in_profile("accuracy", "official", "language") == "accuracy_official"


def test_where_no_official_code_runs_nothing_is_computed() -> None:
    with pytest.raises(NotComputedError, match="no evaluator of accuracy for image"):
        in_profile("accuracy", "official", "image")


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'official'"):
        in_profile("accuracy", "oficial", "image")


def test_all_that_is_named_is_there() -> None:
    assert {*OFFICIAL.values(), *(name for name, _ in OFFICIAL)} <= BUILT_IN.keys()
