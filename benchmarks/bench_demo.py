"""The demo as a whole, and the verdicts that its controls must get."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time

from harness import BIN, report


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = subprocess.run(
            [BIN / "echelon", "demo", "--json", "--store", folder], capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - started
    report("the demo after the installs", f"{seconds:.0f} s", "<= 60 s", met=seconds <= 60)
    for shown in json.loads(run.stdout):
        if shown["must"] is not None:
            levels = {level["edition"]: level["level"] for level in shown["levels"]}
            figure = ", ".join(f"{edition}: {level}" for edition, level in levels.items())
            report(f"control {shown['model']['name']}", figure, f"level {shown['must']}", met=shown["as_it_must"])


if __name__ == "__main__":
    main()
