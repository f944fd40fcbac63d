# The model server, with the ONNX adapter and the built-in baseline.
#   docker build -t echelon .
#   docker run --rm -p 127.0.0.1:50051:50051 -v ./models:/models:ro echelon --config /models/server.yaml
# Inside of the container, listen on unix: or 127.0.0.1, or give TLS and a token file: a public address without them is
# refused.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY proto proto
COPY adapters adapters
COPY server server
COPY clients clients
COPY scorer scorer
RUN python -m venv /opt/echelon \
    && /opt/echelon/bin/pip install --no-cache-dir '.[server,onnx]'

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="echelon" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.description="Serves multimodal models behind one gRPC contract."
COPY --from=build /opt/echelon /opt/echelon
ENV PATH=/opt/echelon/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 50051
STOPSIGNAL SIGTERM
ENTRYPOINT ["echelon", "serve"]
CMD ["--model", "baseline=baseline"]
