# Everything a developer runs. Each target makes its own environment in .venv; nothing has to be installed first.
VENV   ?= .venv
PYTHON ?=
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
WORKERS ?= auto

.PHONY: rulebook help demo test check test-slow sim cluster bench soak full-size published-cycles diagrams picture lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       four nodes, real claims, one primary killed half way: watch it, about a minute"
	@echo "make test       format, lint, types and the fast tests, with a four-node smoke test"
	@echo "make test-slow  the simulator's long runs, crash tests and clusters of real processes"
	@echo "make sim        only the simulator: SEEDS=first:end"
	@echo "make cluster    only the clusters of real processes"
	@echo "make bench      this node beside CometBFT, an hour: ARGS=\"--rounds 1 --seconds 15\" for a short look"
	@echo "make scale      what one member more costs, 10^5 to 10^7 of them: SIZES=100000,1000000 ROUNDS=3"
	@echo "make soak       steady load with a fault every 20 seconds: MINUTES=10"
	@echo "make full-size  176,032 members and 2,130 claims through four nodes"
	@echo "make published-cycles  the cycles that Xiang Hu Bao published, against our settlement"
	@echo "make diagrams   the state diagrams of docs/lives.md, from the code's tables"
	@echo "make rulebook   the tables of docs/claims.md, from the code"
	@echo "make picture    the picture of the demonstration in the README, from a real run"
	@echo "make lock       pin the dependencies again, with hashes"
	@echo "make clean      remove what the targets made, .venv included"

# One lock serves every supported Python; --require-hashes refuses whatever is not in it.
$(VENV)/.runtime: requirements.lock requirements-fast.lock pyproject.toml .ci/find-python
	@python=$$(PYTHON="$(PYTHON)" .ci/find-python) && \
	  { [ -x $(BIN)/python ] && $(BIN)/python -c '' 2>/dev/null || { echo "Making $(VENV) with $$python"; "$$python" -m venv --clear $(VENV); }; }
	@echo "Installing the pinned dependencies"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-fast.lock 2>/dev/null \
	  || echo "No eight-lane signature check for this machine: libsodium does it, at a quarter of the speed"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q node consensus # as pip does for a wheel: a start takes a third longer without
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "Installing the pinned development tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@touch $@

demo: $(VENV)/.runtime
	@$(BIN)/weal demo $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict

test: check
	$(PYTEST) --numprocesses $(WORKERS) --dist worksteal -m "not slow"

# Cluster tests run one at a time: real node processes share the machine with the test that drives them.
test-slow: $(VENV)/.dev
	$(PYTEST) --numprocesses $(WORKERS) --dist worksteal -m "slow and not cluster"
	$(PYTEST) -m "slow and cluster"

cluster: $(VENV)/.dev
	$(PYTEST) tests/cluster

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.engines $(ARGS)

MINUTES ?= 10
soak: $(VENV)/.dev
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(ARGS)

full-size: $(VENV)/.dev
	$(BIN)/python -m benchmarks.full_size $(ARGS)

SIZES ?= 100000,1000000,10000000
ROUNDS ?= 3
.PHONY: scale
scale: $(VENV)/.dev
	$(BIN)/python -m benchmarks.scale run --sizes $(SIZES) --rounds $(ROUNDS) $(ARGS)

SEEDS ?= 0:1000
JOBS ?= $(shell nproc)
sim: $(VENV)/.dev
	$(BIN)/python -m tests.sim --seeds $(SEEDS) --jobs $(JOBS) $(ARGS)

published-cycles: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.published_cycles --write

rulebook: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.rulebook

diagrams: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.state_diagrams

picture: $(VENV)/.dev
	$(BIN)/python -m benchmarks.demo_picture

# One lock for every supported Python: --universal keeps the marker lines and the hashes of all wheels.
# What makes signatures fast has its own, because the node must install where that cannot be.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --quiet
lock:
	@command -v uv >/dev/null || { echo "make lock needs uv: python3 -m pip install --user uv" >&2; exit 1; }
	$(LOCK) pyproject.toml --group build --output-file requirements.lock
	$(LOCK) pyproject.toml --group dev --output-file requirements-dev.lock
	$(LOCK) --group fast --output-file requirements-fast.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis localnet .localnet
