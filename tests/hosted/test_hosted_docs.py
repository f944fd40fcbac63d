"""The settings that docs/hosted.md shows are settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from echelon.adapters.registry import Registry
from echelon.adapters.settings import load

PAGE = Path(__file__).parents[2] / "docs" / "hosted.md"
SHOWN = [block.partition("```")[0] for block in PAGE.read_text().split("```yaml\n")[1:]]


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: yaml.safe_load(shown)["model"])
def test_every_settings_file_opens_a_model(shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter_class: Any = Registry.installed().load(shown.partition("\n")[0].removeprefix("# "))
    values = {**yaml.safe_load(shown), "check_model": False}
    settings = load(adapter_class.settings_type, values)
    if settings.api_key_env is not None:
        monkeypatch.setenv(settings.api_key_env, "sk-anything")
    adapter = adapter_class()
    adapter.open(settings)
    card = adapter.card()
    adapter.close()
    assert card.description.startswith(f"{values['model']} at ")
    assert card.calls


def test_there_are_settings_for_every_api_that_the_page_names() -> None:
    assert len(SHOWN) == 7
