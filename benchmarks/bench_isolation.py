"""An adapter in a process of its own, or behind another server, against the same one in the server's.

What it costs, and how it comes back.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from bench_startup import broken_plugins
from harness import BIN, report, serving

from echelon.adapters import Answer, Call, Request, Tensor, errors
from echelon.clients import Client, Options, Retry

VENDOR = Path(__file__).parent.parent / "tests" / "vendor"
ONCE = Options(retry=Retry(attempts=1))
PAIRS = 400
CRASHES = 5
STARTS = 7
COSTS = (
    ("1 KiB", 1 << 10, "apart", 0.6),
    ("1 MiB", 1 << 20, "apart", 3.0),
    ("1 KiB", 1 << 10, "remote", 1.5),
    ("1 MiB", 1 << 20, "remote", 10.0),
)
BACK_S = 5.0
START_S = 0.2


@contextmanager
def installed(site: Path, *folders: Path) -> Iterator[None]:
    """The distributions in these folders, found by the processes that are started meanwhile."""
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (site, *folders)))
    try:
        yield
    finally:
        del os.environ["PYTHONPATH"]


def metadata(site: Path, name: str, *points: str) -> None:
    """What an installer writes of a distribution."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[echelon.adapters]", *points]) + "\n")


def cost(client: Client, size: int, where: str) -> tuple[float, float, float]:
    """Median ms inside, elsewhere, and of the differences, call by call in turn."""
    request = Request(Call.COMPREHEND, "repeat", (Tensor.from_array(np.zeros(size, np.uint8)),))

    def once(model: str) -> float:
        started = time.perf_counter()
        client.comprehend(model, request)
        return (time.perf_counter() - started) * 1e3

    for _ in range(20):
        once("inside"), once(where)
    pairs = [(once("inside"), once(where)) for _ in range(PAIRS)]
    inside, elsewhere = (statistics.median(column) for column in zip(*pairs, strict=True))
    return inside, elsewhere, statistics.median(other - one for one, other in pairs)


def back_s(client: Client) -> float:
    """From the call that kills the process to the next answer."""
    started = time.perf_counter()
    with suppress(errors.AdapterCrashedError):
        client.language("rogue", Request(Call.LANGUAGE, "segfault"))
    while True:
        with suppress(errors.ModelNotReadyError):
            assert isinstance(client.language("rogue", Request(Call.LANGUAGE, "back")), Answer)
            return time.perf_counter() - started
        time.sleep(0.01)


def start_s() -> float:
    """Until `echelon serve` is ready."""
    started = time.perf_counter()
    with serving("--model", "null=null"):
        return time.perf_counter() - started


def untold(site: Path) -> list[int]:
    """Those of ten broken plug-ins of which neither the list nor a server says what is wrong, and whose it is."""
    listed = subprocess.run([BIN / "echelon", "adapters", "list"], capture_output=True, text=True, check=True).stdout
    told = {n for n in range(10) if any(f" broken-{n} " in line and "broken: " in line for line in listed.splitlines())}
    config = site / "broken.yaml"
    models = [{"name": f"m{n}", "adapter": f"broken{n}"} for n in range(10) if n not in told]
    config.write_text(json.dumps({"listener": {"listen": "127.0.0.1:0"}, "models": models}))
    command = [BIN / "echelon", "serve", "--config", config, "--log-level", "error"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    server.stdout.readline()
    server.terminate()
    failures = server.communicate()[1].splitlines()
    told |= {
        n
        for n in range(10)
        if any(f"model m{n} failed to load: " in line and f" broken-{n} " in line for line in failures)
    }
    return sorted(set(range(10)) - told)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        site, config = Path(name), Path(name) / "server.yaml"
        metadata(site, "acme", "acme = acme.parrot:Parrot")
        metadata(site, "rogue", "rogue = rogue.batch:Rogue")
        config.write_text(
            "models:\n"
            "- {name: inside, adapter: acme, isolation: inproc, max_batch_size: 1}\n"
            "- {name: apart, adapter: acme, isolation: subprocess, max_batch_size: 1}\n"
            "- {name: rogue, adapter: rogue, max_batch_size: 1}\n"
        )
        near = Path(name) / "near.yaml"
        with (
            installed(site, VENDOR, VENDOR / "rogue"),
            serving("--config", str(config)) as (far, _),
        ):
            near.write_text(f"{config.read_text()}- {{name: remote, remote: {{target: '{far}/inside'}}}}\n")
            with serving("--config", str(near)) as (address, _), Client(address, ONCE) as client:
                for label, size, where, most_ms in COSTS:
                    inside, elsewhere, more = cost(client, size, where)
                    figure = f"{inside:.2f} -> {elsewhere:.2f} ms, {more:+.2f} ms"
                    report(f"{label} there and back, {where}", figure, f"<= +{most_ms} ms", met=more <= most_ms)
        with (
            installed(site, VENDOR, VENDOR / "rogue"),
            serving("--config", str(config)) as (address, _),
            Client(address, ONCE) as client,
        ):
            times = sorted(back_s(client) for _ in range(CRASHES))
            figure = f"{statistics.median(times):.2f} s, {times[-1]:.2f} s at most"
            report("back after a segfault", figure, f"<= {BACK_S} s", met=times[-1] <= BACK_S)
    with tempfile.TemporaryDirectory() as name:
        site = Path(name)
        broken_plugins(site, 10)
        for n in range(40):
            metadata(site, f"healthy_{n}", f"healthy{n} = json:JSONDecoder")
        differences = []
        for _ in range(STARTS):
            bare = start_s()
            with installed(site):
                differences.append(start_s() - bare)
        more_s = statistics.median(differences)
        with installed(site):
            missing = untold(site)
        report("broken plug-ins told with distribution and reason", f"{10 - len(missing)} of 10", "10", met=not missing)
        report("start-up with 50 plug-ins, 10 broken", f"{more_s:+.2f} s", f"<= +{START_S} s", met=more_s <= START_S)


if __name__ == "__main__":
    main()
