# Every target sets up what it needs. Python 3.11 or newer and make are enough to begin with.
PYTHON ?= python3
# Another Python wants an environment of its own, and its Triton an older one: docs/development.md.
VENV ?= .venv
TRITON_PYTHON ?= $(PYTHON)
BIN := $(VENV)/bin
BUF := .tools/node_modules/.bin/buf
IMAGE := build/contract.binpb
BASE := proto/base/v1.binpb
GENERATED := proto/echelon/v1 proto/echelon/wire/open_inference.binpb proto/echelon/wire/plain_rules.py

.PHONY: demo test lowest lint proto check-proto wheel image bench browser clean
.DEFAULT_GOAL := test

demo: $(VENV)/demo ## Serve the built-in models, evaluate them, print their levels.
	@$(BIN)/echelon demo

test: $(VENV)/dev browser build/triton/ready ## The whole test suite.
	@$(BIN)/pytest

lowest: browser build/triton/ready ## The same with the oldest packages that pyproject.toml allows, in an environment of its own.
	@$(PYTHON) -m venv build/lowest
	@build/lowest/bin/pip install -q --disable-pip-version-check uv
	@build/lowest/bin/pip install -q --disable-pip-version-check --no-deps torch==2.13.0
	@build/lowest/bin/uv pip install -q --python build/lowest/bin/python --resolution lowest-direct -e '.[dev]'
	@build/lowest/bin/pytest

lint: $(VENV)/dev ## Form, types and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

proto: .venv-proto/ready ## Generate the contract's Python code.
	PATH=$(CURDIR)/.venv-proto/bin:$$PATH python proto/generate.py proto $(IMAGE)

check-proto: proto $(BUF) ## Drift, style and compatibility of the contract.
	git diff --exit-code -- $(GENERATED)
	test -z "$$(git status --porcelain -- $(GENERATED))"
	cd proto && ../$(BUF) format -d --exit-code .
	$(BUF) lint $(IMAGE) --config '{"version":"v2","lint":{"use":["STANDARD","COMMENTS"],"ignore":["google"]}}'
	$(BUF) breaking $(IMAGE) --against $(BASE) --config '{"version":"v2","breaking":{"use":["FILE"]}}'

wheel: ## Build the wheel and use it outside of the checkout.
	$(PYTHON) deploy/check_wheel.py

image: ## Build the container image and try it; options of docker build go into DOCKER_BUILD.
	$(PYTHON) deploy/check_image.py $(DOCKER_BUILD)

bench: $(VENV)/dev build/triton/ready build/mlserver/ready ## Every benchmark, with its ratio and its target.
	@for file in benchmarks/bench_*.py benchmarks/metrics/bench_*.py; do PYTHONPATH=benchmarks $(BIN)/python $$file || exit 1; done

browser:
	@command -v chromium >/dev/null || { apt-get update -q && apt-get install -yq --no-install-recommends chromium; } >/dev/null \
		|| { echo "the report's tests need chromium: install it, then run make test again"; exit 1; }

# A real Triton for the tests. Its stub embeds a Python whose numpy is older than 2, and needs that Python's library.
build/triton/ready:
	@echo "installing a Triton server into build/triton"
	@$(TRITON_PYTHON) -m venv build/triton
	@build/triton/bin/pip install -q --disable-pip-version-check 'nvidia-pytriton==0.7.0' 'numpy<2' 'onnxruntime==1.32.0'
	@build/triton/bin/python tests/peers/libpython.py || { apt-get update -q \
		&& apt-get install -yq --no-install-recommends libpython$$(build/triton/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); } >/dev/null
	@touch $@

build/mlserver/ready:
	@$(PYTHON) -m venv build/mlserver
	@build/mlserver/bin/pip install -q --disable-pip-version-check 'mlserver==1.7.1' 'onnxruntime==1.32.0'
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Echelon needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --upgrade pip

$(VENV)/demo: pyproject.toml | $(VENV)/bin/python
	@echo "installing Echelon into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing Echelon and its development tools into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/demo

# The generator and the packages that Echelon serves with cannot share an environment.
.venv-proto/ready: Makefile
	$(PYTHON) -m venv .venv-proto
	.venv-proto/bin/pip install -q --disable-pip-version-check 'grpcio-tools==1.76.0' 'mypy-protobuf==4.0.0' 'protovalidate==2.1.0' 'googleapis-common-protos==1.76.0'
	@touch $@

$(BUF):
	npm install --silent --no-audit --no-fund --prefix .tools @bufbuild/buf@1.75.0

clean:
	rm -rf .venv .venv-proto .tools build dist
