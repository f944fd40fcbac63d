"""A vendor's distribution whose adapters each have one fault."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

SHODDY = Path(__file__).parent / "shoddy"


@pytest.fixture(scope="session")
def shoddy_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution's metadata, as an installer would write it."""
    project = tomllib.loads((SHODDY / "pyproject.toml").read_text())["project"]
    site = tmp_path_factory.mktemp("shoddy")
    info = site / f"shoddy_models-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    ((group, points),) = project["entry-points"].items()
    (info / "entry_points.txt").write_text(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
    )
    return site


@pytest.fixture
def shoddy(shoddy_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed in this process and in those it starts; no line of it is imported here."""
    for folder in (shoddy_site, SHODDY):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (SHODDY, shoddy_site))))
