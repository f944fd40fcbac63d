"""A vendor's distribution whose adapters each have one fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SHODDY = Path(__file__).parent / "shoddy"


@pytest.fixture(scope="session")
def shoddy_site(site_of: Callable[[Path], Path]) -> Path:
    return site_of(SHODDY)


@pytest.fixture
def shoddy(shoddy_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed in this process and in those it starts; no line of it is imported here."""
    monkeypatch.syspath_prepend(str(shoddy_site))
    monkeypatch.syspath_prepend(str(SHODDY))
    monkeypatch.setenv("PYTHONPATH", f"{SHODDY}:{shoddy_site}")
