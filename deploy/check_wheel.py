"""Builds the wheel, installs it with [demo] into a clean environment, and runs a small demo outside of the checkout."""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOREIGN = ("buf/", "google/", "tests/", "training/")
"""Nothing of these may be in the wheel: they would clash with other distributions, or have no business there."""


def run(*command: str | Path, cwd: Path) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, cwd=folder)
        wheel = next(folder.glob("echelon-*.whl"))
        files = zipfile.ZipFile(wheel).namelist()
        assert "echelon/v1/model_service_pb2.py" in files, "the generated code is missing"
        assert "echelon/__init__.py" not in files, "echelon must stay a namespace package"
        strangers = [file for file in files if file.startswith(FOREIGN)]
        assert not strangers, f"the wheel holds {strangers}"
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", f"{wheel}[demo]", cwd=folder)
        run(folder / "env" / "bin" / "echelon", "demo", "--samples", "8", cwd=folder)
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(files)} files, and its demo runs")


if __name__ == "__main__":
    main()
