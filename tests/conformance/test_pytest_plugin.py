"""Three lines in a test file make each check a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

THREE_LINES = 'from echelon.conformance import Conformance\n\nconformance = Conformance("{target}")\n'


@pytest.fixture
def test_file(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return tmp_path / "test_conformance.py"


def run(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=file.parent, capture_output=True, text=True, timeout=100, check=False)


def test_every_check_is_a_test_by_its_name(shoddy: None, test_file: Path) -> None:
    from echelon.conformance.kit import CHECKS

    test_file.write_text(THREE_LINES.format(target="sound"))
    listed = run(test_file, "--collect-only", "-q").stdout.splitlines()
    tests = [line for line in listed if "::" in line]
    assert tests == [f"test_conformance.py::conformance::{check.id}" for check in CHECKS]


def test_a_failure_shows_reason_and_fix_and_no_traceback(shoddy: None, test_file: Path) -> None:
    test_file.write_text(THREE_LINES.format(target="shoddy-broken"))
    told = run(test_file, "-rs", "-k", "golden or broken or streaming")
    assert told.returncode == 1
    assert "1 failed, 1 passed, 1 skipped, 16 deselected" in told.stdout
    assert "Media that do not hold what they say: comprehend with an image of random bytes got" in told.stdout
    assert "\nfix: decode with part.array()" in told.stdout
    assert "Traceback" not in told.stdout
    assert "the card lists neither generate nor language" in told.stdout


def test_an_adapter_that_does_not_load_is_an_error_with_its_reason(shoddy: None, test_file: Path) -> None:
    test_file.write_text(THREE_LINES.format(target="shoddy-unloaded"))
    told = run(test_file, "-k", "card or golden")
    assert told.returncode == 1
    assert "2 errors" in told.stdout
    assert "the adapter did not load: FileNotFoundError: no weights in /models" in told.stdout
    assert "kit.py" not in told.stdout


def test_checks_stand_beside_other_tests(shoddy: None, test_file: Path) -> None:
    test_file.write_text(
        THREE_LINES.format(target="sound") + "\n\ndef test_beside_them(): assert conformance.target == 'sound'\n"
    )
    told = run(test_file, "-k", "card or golden or beside")
    assert told.returncode == 0, told.stdout
    assert "3 passed" in told.stdout


def test_nothing_heavy_is_imported_without_such_a_line(test_file: Path) -> None:
    test_file.write_text(
        "import sys\n\n"
        "def test_light():\n"
        "    assert 'echelon.conformance.pytest_plugin' in sys.modules\n"
        "    heavy = {'grpc', 'numpy', 'google', 'structlog', 'echelon.clients', 'echelon.conformance.kit'}\n"
        "    assert heavy & set(sys.modules) == set()\n"
    )
    told = run(test_file)
    assert told.returncode == 0, told.stdout
