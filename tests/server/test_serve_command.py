"""`echelon serve` as people and orchestrators meet it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from echelon.adapters import Answer, Call, Request, Text, errors
from echelon.clients import Client, Options, Retry

SECRET = "sesame-4711"


def serve(*options: str, listen: str = "127.0.0.1:0") -> subprocess.CompletedProcess[str]:
    """A server that should not even start."""
    command = [sys.executable, "-m", "echelon.cli", "serve", "--listen", listen, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), 2, "nothing to serve: give --model NAME=ADAPTER"),
        (("--model", "parrot"), 1, "--model parrot: must be NAME=ADAPTER or NAME=ADAPTER:settings.yaml"),
        (("--model", "=acme"), 1, "--model =acme: must be NAME=ADAPTER"),
        (("--model", "A b=null"), 1, "must be 1 to 64 lower case letters, digits"),
        (("--model", "a=null", "--model", "a=null"), 1, "more than one model is called a"),
        (("--model", "a=nul"), 1, "no adapter 'nul' is installed (did you mean 'null'?)"),
        (("--model", "a=acme", "--trust", "acme"), 1, "--trust acme: no distribution of that name has an adapter"),
        (("--config", "/nowhere/at/all.yaml"), 1, "cannot read /nowhere/at/all.yaml: No such file or directory"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_line(vendor: None, options: tuple[str, ...], code: int, words: str) -> None:
    run = serve(*options)
    assert run.returncode == code
    assert words in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_all_faults_of_a_configuration_are_told_at_once(tmp_path: Path) -> None:
    config = tmp_path / "server.yaml"
    config.write_text(
        "listner: {}\n"
        "listener: {listen: 1, limits: {calls: many}, tls: {certificate: c.pem}}\n"
        "models: [{name: a, adapter: null}, {name: B, adapter: x}, {adapter: x, max_batch_size: 0}]\n"
    )
    run = serve("--config", str(config))
    assert run.returncode == 1
    for words in (
        "unknown key 'listner' (did you mean 'listener'?)",
        "'listener.limits.calls' must be a whole number, not 'many'",
        "'listener.listen' must be text, not 1",
        "'listener.tls.key' is required",
        "'models[0].adapter' must be text, not None",
        "models[1]: the model name 'B' must be",
        "'models[2].name' is required",
    ):
        assert words in run.stderr


def test_a_second_server_on_the_port_says_what_to_do(processes: Callable[..., Any]) -> None:
    _, address = processes("--model", "null=null")
    run = serve("--model", "null=null", listen=address)
    assert run.returncode == 1
    assert run.stderr.strip().splitlines()[-1] == (
        f"error: cannot listen on {address}: in use, not allowed, or no address of this machine; "
        "choose another with --listen"
    )


def test_a_second_server_on_a_unix_socket_is_refused_and_leaves_it_to_the_first(
    processes: Callable[..., Any], tmp_path: Path
) -> None:
    listen = f"unix:{tmp_path / 'socket'}"
    processes("--model", "first=null", listen=listen)
    run = serve("--model", "second=null", listen=f"unix://{tmp_path / 'socket'}")
    assert run.returncode == 1
    assert f"cannot listen on unix://{tmp_path / 'socket'}: in use" in run.stderr
    with Client(listen) as client:
        assert [model.card.name for model in client.models()] == ["first"]


def test_the_unix_socket_of_a_killed_server_is_taken_over(processes: Callable[..., Any], tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'socket'}"
    process, _ = processes("--model", "first=null", listen=listen)
    process.kill()
    process.wait()
    assert (tmp_path / "socket").is_socket()
    processes("--model", "second=null", listen=listen)
    with Client(listen) as client:
        assert [model.card.name for model in client.models()] == ["second"]


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    run = serve("--model", "null=null", listen=f"unix:{tmp_path / 'notes'}")
    assert (run.returncode, (tmp_path / "notes").read_text()) == (1, "mine")
    assert "cannot listen on unix:" in run.stderr


def test_a_public_address_without_credentials_says_what_to_do() -> None:
    run = serve("--model", "null=null", listen="0.0.0.0:0")
    assert run.returncode == 1
    assert "refusing to listen on 0.0.0.0:0, which others can reach" in run.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_calls_finish_and_ends_with_0(
    processes: Callable[..., Any], tmp_path: Path, number: signal.Signals
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("gate: gate\n")
    process, address = processes("--model", f"parrot=acme:{settings}")
    with Client(address) as client:
        answers = client.ask_all(
            "parrot", [Request(Call.COMPREHEND, word) for word in ("first", "wait", "last")], in_flight=2
        )
        assert next(answers)
        # The call that waits may be on its way still; a server that has no call has nothing to wait for.
        time.sleep(0.5)
        process.send_signal(number)
        time.sleep(0.2)
        assert process.poll() is None
        (tmp_path / "gate").touch()
        finished, refused = answers
        assert isinstance(finished, Answer)
        assert isinstance(refused, errors.UnreachableError | errors.ModelNotReadyError)
    assert process.wait(10) == 0


def test_a_signal_while_a_model_loads_ends_with_0(vendor: None, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("opens_when: never\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "echelon.cli",
        "serve",
        "--trust",
        "acme-models",
        "--model",
        f"parrot=acme:{settings}",
    ]
    process = subprocess.Popen([*command, "--listen", f"127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True)
    with Client(f"127.0.0.1:{port}") as client:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                assert client.model("parrot").state == "loading"
                break
            except errors.UnreachableError:
                time.sleep(0.05)
    process.terminate()
    assert process.wait(10) == 0
    assert "Traceback" not in process.communicate()[1]


def test_logs_are_json_without_content_tokens_or_secrets_of_an_adapter_on_the_wire(
    processes: Callable[..., Any], tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-nobody-may-see\n")
    config = tmp_path / "server.yaml"
    config.write_text("listener: {token_file: tokens, log_one_in: 1}\nmodels: [{name: parrot, adapter: acme}]\n")
    process, address = processes("--config", str(config))
    options = Options(token="a-token-nobody-may-see", retry=Retry(attempts=1))
    with Client(address, options) as client:
        client.comprehend("parrot", Request(Call.COMPREHEND, "content nobody may see", (Text("nor this"),), id="a-1"))
        with pytest.raises(errors.AdapterFailedError) as caught:
            client.comprehend("parrot", Request(Call.COMPREHEND, "raise content nobody may see", id="a-2"))
        list(client.ask_all("parrot", [Request(Call.COMPREHEND, "unable content nobody may see", id="a-3")]))
    with Client(address) as client, pytest.raises(errors.AuthMissingError):
        client.models()
    process.terminate()
    _, logged = process.communicate(timeout=10)
    lines = [json.loads(line) for line in logged.splitlines()]
    assert "nobody" not in logged
    assert "nor this" not in logged
    (answered,) = [line for line in lines if line["event"] == "answered" and line.get("request_id") == "a-1"]
    assert (answered["model"], answered["method"]) == ("parrot", "/echelon.v1.ModelService/Comprehend")
    assert {line["reason"] for line in lines if line["event"] == "failed"} == {
        "ADAPTER_EXCEPTION",
        "CAPABILITY_UNSUPPORTED",
        "AUTH_MISSING",
    }
    (incident,) = [line for line in lines if line["event"] == "incident"]
    # The story stays here, under the id that the caller got.
    assert incident["incident"] in str(caught.value)
    assert SECRET in incident["exception"]


@pytest.mark.parametrize(
    ("module", "extra", "command"),
    [
        ("grpc", "server", ["serve", "--model", "null=null"]),
        ("grpc", "scorer", ["run", "starter", "--model", "127.0.0.1:9/null"]),
        ("grpc", "demo", ["demo"]),
        ("markupsafe", "scorer", ["report"]),
    ],
)
def test_a_missing_extra_is_named(module: str, extra: str, command: list[str], tmp_path: Path) -> None:
    program = f"import sys; sys.modules['{module}'] = None; sys.argv[1:] = {command}\n"
    program += "from echelon.cli import main; main()"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr == f"error: {module} is not installed; get it with: pip install 'echelon[{extra}]'\n"


def test_what_failed_to_load_is_told_beside_what_is_served(processes: Callable[..., Any]) -> None:
    process, address = processes("--model", "closed=acme-closed", "--model", "null=null")
    with Client(address) as client:
        assert [info.state for info in client.models()] == ["failed", "ready"]
    process.terminate()
    assert "model closed failed to load: SystemExit: weights not found" in process.communicate(timeout=10)[1]
    assert process.returncode == 0


def test_the_process_listens_where_it_says_and_nowhere_else(processes: Callable[..., Any]) -> None:
    process, address = processes("--model", "null=null")
    proc = Path(f"/proc/{process.pid}")
    sockets = {str(link.readlink()) for link in (proc / "fd").iterdir()}
    rows = [line.split() for name in ("tcp", "tcp6") for line in (proc / "net" / name).read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    port = int(address.rpartition(":")[2])
    assert [address[-13:] for address in listening] == [f"0100007F:{port:04X}"]
