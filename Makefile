# `make` sets up and runs the default benchmark; `make test` sets up and runs the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
LOCK := envs/requirements.lock
STAMP := $(VENV)/.installed

.PHONY: all setup test test-slow check docs slurm-check format lock clean

all: setup
	$(BIN)/snakemake --cores $(CORES)

setup: $(STAMP)

# matbench pins packages of 2022 and runs with today's, so it goes in without its dependencies.
$(STAMP): $(LOCK) envs/requirements-nodeps.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"sitenet needs Python 3.11 or newer, this is {sys.version.split()[0]}: make PYTHON=python3.11")'
	@echo "Installing the pinned packages into $(VENV); this takes some minutes ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/requirements-nodeps.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: setup
	$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile

test-slow: setup
	$(BIN)/python -m pytest -m slow

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

# The documentation as a site in build/site; a broken link is an error. (With --quiet mkdocs would not count them.)
docs: setup
	$(BIN)/mkdocs build --strict

# Whether the SLURM cluster at hand suits a profile, before anything is submitted.
PROFILE ?= profiles/slurm
slurm-check: setup
	$(BIN)/python -m sitenet.slurm_check $(PROFILE)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

# Resolves pyproject.toml anew and pins what came out.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet '.[dev]'
	(echo "# Written by \`make lock\`; do not edit." && build/lock/bin/python -m pip freeze --exclude sitenet | sed 's/+cpu$$//') > $(LOCK)
	$(PYTHON) tools/write_environments.py

clean:
	rm -rf $(VENV)
