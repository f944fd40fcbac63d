"""The yardstick: a bare grpc.aio echo of the contract's messages on uvloop, with nothing around it."""

from __future__ import annotations

import asyncio

import grpc
import uvloop

from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc


class Echo(pb_grpc.ModelServiceServicer):
    async def Comprehend(self, request, context):  # noqa: N802
        return pb.ComprehendResponse(outcome=pb.Outcome(answer=pb.Answer(parts=request.call.parts)))


async def main() -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
    pb_grpc.add_ModelServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"echo on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
