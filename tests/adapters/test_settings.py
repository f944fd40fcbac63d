"""Settings from plain values and YAML, and how their faults are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest

from echelon.adapters.errors import SettingsError
from echelon.adapters.settings import load, nearest, read_yaml


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    size: int
    label: str = ""


@dataclass(frozen=True)
class Outer:
    name: str
    path: Path = Path()
    factor: float = 1.0
    flag: bool = False
    mode: Literal["fast", "slow", 3] = "fast"
    colour: Colour = Colour.RED
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    pair: tuple[int, str] = (0, "")
    named: dict[str, float] = field(default_factory=dict)
    data: bytes = b""
    either: int | str = 0
    sources: list[str] = field(default_factory=list, metadata={"key": "from"})

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("'name' must be good")


def test_every_type_is_read(tmp_path: Path) -> None:
    values = {
        "name": "x",
        "path": "sub/file",
        "factor": 2,
        "flag": True,
        "mode": 3,
        "colour": "blue",
        "inner": {"size": 1},
        "many": [{"size": 2, "label": "two"}],
        "pair": [1, "one"],
        "named": {"a": 0.5, "b": 1},
        "data": "AAE=",
        "either": "text",
        "from": ["a"],
    }
    assert load(Outer, values, folder=tmp_path) == Outer(
        name="x",
        path=tmp_path / "sub/file",
        factor=2.0,
        flag=True,
        mode=3,
        colour=Colour.BLUE,
        inner=Inner(1),
        many=(Inner(2, "two"),),
        pair=(1, "one"),
        named={"a": 0.5, "b": 1.0},
        data=b"\x00\x01",
        either="text",
        sources=["a"],
    )


def test_all_faults_are_told_at_once_with_their_places() -> None:
    values = {"nmae": "x", "flag": 1, "many": [{"size": 1}, {"size": "big"}], "inner": {}, "named": {"a": "b"}}
    with pytest.raises(SettingsError) as raised:
        load(Outer, values, where="model.yaml")
    said = str(raised.value)
    assert said.startswith("model.yaml: ")
    assert "unknown key 'nmae' (did you mean 'name'?)" in said
    assert "'name' is required" in said
    assert "'flag' must be true or false, not 1" in said
    assert "'many[1].size' must be a whole number, not 'big'" in said
    assert "'inner.size' is required" in said
    assert "'named.a' must be a number, not 'b'" in said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mode": "fsat"}, "'mode' is 'fsat' (did you mean 'fast'?)"),
        ({"mode": True}, "'mode' is True"),
        ({"colour": "green"}, "'colour' is 'green' (known: blue, red)"),
        ({"factor": True}, "'factor' must be a number, not True"),
        ({"factor": "1"}, "'factor' must be a number, not '1'"),
        ({"pair": [1]}, "'pair' must have 2 items, not 1"),
        ({"many": {"size": 1}}, "'many' must be a list"),
        ({"named": []}, "'named' must be a mapping"),
        ({"inner": 3}, "inner must be a mapping"),
        ({"data": "no base64"}, "'data' is not base64"),
        ({"either": 1.5}, "'either' must be"),
        ({"path": 3}, "'path' must be a path, not 3"),
        ({"name": "bad"}, "'name' must be good"),
        ({"sources": []}, "unknown key 'sources'"),
    ],
)
def test_a_fault_is_told(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(Outer, {"name": "x", **values})
    assert said in str(raised.value)


def test_a_huge_value_is_not_repeated_in_full() -> None:
    many: list[Any] = ["lol"] * 9
    for _ in range(20):
        many = [many] * 9
    with pytest.raises(SettingsError) as raised:
        load(Outer, {"name": many})
    assert len(str(raised.value)) < 200


def test_yaml_is_read_and_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("a: 1\nb: [x, y]\nbase: &base {c: 2}\nmore: {<<: *base, d: 3}\n")
    assert read_yaml(path) == {"a": 1, "b": ["x", "y"], "base": {"c": 2}, "more": {"c": 2, "d": 3}}
    path.write_text("")
    assert read_yaml(path) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "the key 'a' is given twice"),
        ("a: {b: 1, b: 2}", "the key 'b' is given twice"),
        ("- 1", "must hold a mapping"),
        ("1: 2", "must hold a mapping with text keys"),
        ("a: [", "is not valid YAML"),
        ("? [1, 2]\n: 3", "a key must be plain text"),
        ("a: !!python/object:os.system {}", "is not valid YAML"),
    ],
)
def test_yaml_that_cannot_be_taken_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        read_yaml(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*none\.yaml: No such file"):
        read_yaml(tmp_path / "none.yaml")


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"a: \xff\xfe\x00")
    with pytest.raises(SettingsError, match="is not valid YAML"):
        read_yaml(path)


def test_the_nearest_word_is_proposed_or_all_are_listed() -> None:
    assert nearest("imge", ["image", "audio"]) == " (did you mean 'image'?)"
    assert nearest("xyz", ["image", "audio"]) == " (known: audio, image)"
    assert nearest("xyz", []) == ""
