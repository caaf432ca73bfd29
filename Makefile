# `make` sets up and runs the default benchmark; `make test` sets up and runs the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
LOCK := envs/requirements.lock
TORCH := envs/requirements-torch.lock
NODEPS := envs/requirements-nodeps.lock
TRITON := envs/requirements-triton.lock
STAMP := $(VENV)/.installed

.PHONY: all help setup test test-slow test-triton check docs slurm-check format generated lock hashes clean

all: setup ## install into .venv and run the benchmark of config.yaml (just `make` does it)
	$(BIN)/snakemake --cores $(CORES)

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "make %-13s %s\n", $$1, $$2 }'

setup: $(STAMP) ## install into .venv

# What is downloaded must have a hash of the lock, but for torch, whose builds differ from machine to machine.
# matbench pins packages of 2022 and runs with today's. chgnet and sevenn ask for a compiler and packages that describing
# sites does not need. They go in without their dependencies.
$(STAMP): $(LOCK) $(TORCH) $(NODEPS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"sitenet needs Python 3.11 or newer, this is {sys.version.split()[0]}: make PYTHON=python3.11")'
	@echo "Installing the pinned packages into $(VENV); this takes some minutes ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(NODEPS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: setup ## run the tests: a quarter of an hour on two cores
	$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile

test-slow: setup ## run the slow tests
	$(BIN)/python -m pytest -m slow -n auto --maxprocesses 4 --dist loadfile --ignore tests/slurm
	$(BIN)/python -m pytest -m slow tests/slurm

# torch for GPUs brings Triton, of another version; the interpreter needs no GPU.
test-triton: setup ## test the GPU kernels on a CPU, by Triton's interpreter
	$(BIN)/python -c 'import triton' 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(TRITON)
	$(BIN)/python -m pytest tests/unit/test_gpu_kernels.py

check: setup ## format, lint, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

# The documentation as a site in build/site; a broken link is an error. (With --quiet mkdocs would not count them.)
docs: setup ## the documentation as a site in build/site
	$(BIN)/mkdocs build --strict

# Whether the SLURM cluster at hand suits a profile, before anything is submitted.
PROFILE ?= profiles/slurm
slurm-check: setup ## does this SLURM cluster suit a profile? PROFILE=profiles/slurm
	$(BIN)/python -m sitenet.slurm_check $(PROFILE)

format: setup ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

# Every committed file that is made from code: pages, schema, environments, golden tables and ids. Look at the difference.
generated: setup ## write committed files that are made from code
	$(BIN)/python -m tools.configuration_reference
	$(BIN)/python -m tools.configuration_schema
	$(BIN)/python -m tools.table_columns
	$(BIN)/python -m tools.model_cards
	$(BIN)/python -m tools.textbook_solids
	$(BIN)/python tools/write_environments.py
	$(BIN)/python -m tests.golden tables trials

# Resolves pyproject.toml anew and pins what came out, torch and the CUDA packages it brings apart.
lock: ## resolve the pinned packages anew
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet '.[dev]'
	build/lock/bin/python -m pip freeze --exclude sitenet | sed 's/+cpu$$//' | grep -vE '^(nvidia-|cuda-|triton==)' > build/lock/pins
	(head -1 $(TORCH) && grep '^torch==' build/lock/pins) > build/lock/torch && cp build/lock/torch $(TORCH)
	grep -v '^torch==' build/lock/pins > build/lock/pins.in
	$(MAKE) hashes PINS=build/lock/pins.in

# Writes the hashes of the pins anew, after one was changed by hand for example; uv is used for nothing else.
PINS ?= $(LOCK)
hashes:
	test -x build/lock/bin/python || $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv
	$(call HASH,$(PINS),$(LOCK))
	$(call HASH,$(NODEPS),$(NODEPS))
	$(call HASH,$(TRITON),$(TRITON))
	$(PYTHON) tools/write_environments.py

# $(call HASH,pins,lock): the pins with the hashes of all their builds, below the first line of the lock.
define HASH
grep -vE '^ |^#' $(1) | sed 's/ \\$$//' > build/lock/hash.in
(head -1 $(2) && build/lock/bin/uv pip compile --quiet --no-deps --universal --python-version 3.11 --no-annotate --no-header \
	--generate-hashes build/lock/hash.in) > build/lock/hashed && cp build/lock/hashed $(2)
endef

clean: ## remove .venv
	rm -rf $(VENV)
