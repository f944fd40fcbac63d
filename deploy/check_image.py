"""Builds the container image and tries it: by itself, locked down, and with models, TLS and tokens of one's own.

    python deploy/check_image.py [OPTION OF docker build ...]

Needs openssl and a docker that runs here, with BuildKit (20.10 or newer) and the base image or the way to its registry.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "adapters" / "echelon" / "adapters" / "baseline" / "models" / "generalist-comprehension"
IMAGE = "echelon:check"
LOCKED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=1g", "--pids-limit=256")
PATIENCE_S = 60.0


def docker(*arguments: str | Path, fails: bool = False) -> str:
    """What docker says; `fails` where it must exit with 1."""
    done = subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_S)
    said = done.stdout + done.stderr
    assert done.returncode == (1 if fails else 0), f"docker {arguments} exits with {done.returncode}: {said}"
    return said


def inspect(what: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", what))[0]
    return found


def wait_s(until: Callable[[], bool], what: str) -> float:
    """Seconds that it took."""
    started = time.perf_counter()
    while not until():
        assert time.perf_counter() - started < PATIENCE_S, f"waited in vain until {what}"
        time.sleep(0.05)
    return time.perf_counter() - started


@contextmanager
def container(*options: str) -> Iterator[str]:
    """The id of a locked container without a network that is ready; leaving it, SIGTERM must end it with 0."""
    name = docker("run", "--detach", "--network=none", "--health-interval=1s", *LOCKED, *options, IMAGE).strip()
    try:
        seconds = wait_s(lambda: "serving " in docker("logs", name), "the models are ready")
        print(f"  ready after {seconds:.1f} s")
        yield name
        logs = docker("logs", name)
        docker("stop", "--time=30", name)
        assert inspect(name)["State"]["ExitCode"] == 0, f"SIGTERM ended it badly: {docker('logs', name)}"
        assert "telemetry" not in logs, logs
    finally:
        docker("rm", "--force", name)


def build(options: list[str]) -> None:
    command = ["docker", "build", "--quiet", "--tag", IMAGE, *options, str(ROOT)]
    subprocess.run(command, check=True, env={**os.environ, "DOCKER_BUILDKIT": "1"}, stdout=subprocess.DEVNULL)


def check_contents() -> None:
    found = inspect(IMAGE)
    user = found["Config"]["User"].partition(":")[0]
    assert user.isdigit(), f"Kubernetes cannot tell whether the user {user!r} is root"
    assert user != "0", "the user is root"
    tools = "for tool in cc gcc g++ clang ld make; do ! command -v $tool || exit 1; done"
    docker("run", "--rm", "--network=none", "--entrypoint=sh", IMAGE, "-c", tools)
    print(f"  {found['Size'] / 1e6:.0f} MB, user {user}, no compiler")


def check_default() -> None:
    with container() as name:
        assert "baseline  ready" in docker("exec", name, "echelon", "models")
        docker("exec", name, "echelon", "health", "127.0.0.1:50051", "baseline")
        docker("exec", name, "echelon", "health", "127.0.0.1:50051", "other", fails=True)
        wait_s(lambda: inspect(name)["State"]["Health"]["Status"] == "healthy", "docker calls it healthy")


def check_refusal() -> None:
    said = docker("run", "--rm", "--network=none", IMAGE, "serve", "--model=a=null", "--listen=0.0.0.0:1", fails=True)
    assert "without TLS and authentication" in said, said


def check_public(folder: Path) -> None:
    token = write_serving(folder)
    options = ("--tls-root=/etc/echelon/tls/server.pem", "--token-file=/etc/echelon/tokens")
    mount = f"--volume={folder}:/etc/echelon:ro"
    with container(mount, f"--health-cmd=echelon health localhost:50051 mine {options[0]}") as name:
        wait_s(lambda: inspect(name)["State"]["Health"]["Status"] == "healthy", "docker calls it healthy")
        another = ("run", "--rm", f"--network=container:{name}", mount, IMAGE, "models", "localhost:50051")
        assert "mine  ready" in docker(*another, *options)
        assert "bearer token" in docker(*another, options[0], fails=True)
        assert token not in docker("logs", name)


def write_serving(folder: Path) -> str:
    """Fill `folder` as the README says; the token that opens it."""
    shutil.copy(ROOT / "deploy" / "public.yaml", folder / "server.yaml")
    shutil.copytree(MODEL, folder / "models" / "mine")
    (folder / "tls").mkdir()
    name = "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
    request = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 {name}"
    files = ("-keyout", str(folder / "tls" / "server.key"), "-out", str(folder / "tls" / "server.pem"))
    subprocess.run([*request.split(), *files], check=True, capture_output=True)
    token = secrets.token_urlsafe()
    (folder / "tokens").write_text(f"{token}\n")
    # The container's user is none of ours.
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return token


def missing() -> str:
    """What keeps the check from running."""
    for program in ("docker", "openssl"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    done = subprocess.run(["docker", "version"], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


def main(options: list[str]) -> None:
    if problem := missing():
        sys.exit(f"cannot check the image: {problem}\n{__doc__}")
    with tempfile.TemporaryDirectory() as name:
        print("the image")
        build(options)
        check_contents()
        print("by itself")
        check_default()
        check_refusal()
        print("with models, TLS and a token of one's own")
        check_public(Path(name))


if __name__ == "__main__":
    main(sys.argv[1:])
