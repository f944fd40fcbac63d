"""What a configuration file means, read as `echelon serve` reads it."""

from pathlib import Path

import pytest

from echelon.adapters.errors import SettingsError
from echelon.server.config import from_options, read


def test_paths_in_a_models_settings_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "server.yaml").write_text("models: [{name: a, adapter: onnx, settings: {folder: net}}]")
    _, folder = read(tmp_path / "server.yaml").models[0].values()
    assert folder == tmp_path


def test_a_models_settings_may_be_relative_to_another_folder(tmp_path: Path) -> None:
    (tmp_path / "server.yaml").write_text("models: [{name: a, adapter: onnx, folder: nets, settings: {folder: net}}]")
    _, folder = read(tmp_path / "server.yaml").models[0].values()
    assert folder == tmp_path / "nets"


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "server.yaml").write_text("listner: {}\nmodels: [{name: A, adapter: onnx}, {nam: b}]")
    with pytest.raises(SettingsError) as caught:
        read(tmp_path / "server.yaml")
    for said in ("did you mean 'listener'?", "'A' must be", "unknown key 'models[1].nam'", "'models[1].name'"):
        assert said in str(caught.value)


def test_models_of_the_command_line_join_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "server.yaml").write_text("models: [{name: a, adapter: onnx}]")
    base = read(tmp_path / "server.yaml")
    assert [model.name for model in from_options(base, None, ["b=null:b.yaml"]).models] == ["a", "b"]
    with pytest.raises(SettingsError, match="more than one model is called a"):
        from_options(base, None, ["a=null"])
