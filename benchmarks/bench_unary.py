"""A 1 KiB unary call through the null adapter, everything on, against a bare grpc.aio echo on the same loop."""

import sys
from pathlib import Path

from harness import paired, process, report, serving
from load import unary_rate

from echelon.adapters import Call, Kind, Request, Text
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import call_to_proto

TARGET = 0.75


def main() -> None:
    request = Request(Call.COMPREHEND, "Name it.", (Text("x" * 1024),), (Kind.TEXT,))
    message = pb.ComprehendRequest(call=call_to_proto("null", request)).SerializeToString()
    with (
        serving("--model", "null=null") as (ours, _),
        process(sys.executable, Path(__file__).with_name("echo_server.py")) as (bare, _),
    ):
        rate, bare_rate, ratios = paired(
            lambda: unary_rate(ours, message, in_flight=64, seconds=1.5),
            lambda: unary_rate(bare, message, in_flight=64, seconds=1.5),
        )
    ratio = ratios[len(ratios) // 2]
    spread = f"{ratios[0]:.2f}..{ratios[-1]:.2f}"
    figure = f"{rate:.0f}/s, {ratio:.2f}x ({spread})"
    report(f"1 KiB unary, 64 in flight, bare echo {bare_rate:.0f}/s", figure, f">= {TARGET}x", met=ratio >= TARGET)


if __name__ == "__main__":
    main()
