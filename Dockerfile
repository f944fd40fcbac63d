# The model server with the built-in baseline and the ONNX adapter. How to run it: README.md, "In a container".
# Building takes BuildKit. An index of one's own comes as a secret: --secret id=pip.conf,src=pip.conf
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY proto proto
COPY adapters adapters
COPY server server
COPY clients clients
COPY scorer scorer
# The versions are pyproject.toml's.
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python -m venv --without-pip /opt/echelon \
    && pip --python /opt/echelon/bin/python install '.[server,onnx]'

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="echelon" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.description="Serves multimodal models behind one gRPC contract."
COPY --from=build /opt/echelon /opt/echelon
COPY deploy/server.yaml /etc/echelon/server.yaml
# ONNX Runtime reports models' names and hashes to its maker unless it is told not to.
ENV PATH=/opt/echelon/bin:$PATH \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s CMD ["echelon", "health"]
ENTRYPOINT ["echelon"]
CMD ["serve", "--config", "/etc/echelon/server.yaml"]
