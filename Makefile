# `make run` does the whole job offline on a CPU; `make test` runs the tests. Both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test test-processors lint types check nano wheel clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once; about two minutes and 2 GB)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,qlora]'
	@touch $@

run: $(STAMP)  ## the whole job with the embedded models, in runs/nano
	$(BIN)/sit run

test: $(STAMP)  ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-processors: $(STAMP)  ## the numerical tests again, as on other processors and with one and two threads
	$(BIN)/python tests/processors.py

lint: $(STAMP)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## mypy, strict
	$(BIN)/mypy

check: lint types test test-processors  ## everything that CI runs

nano: $(STAMP)  ## train the embedded models again (half an hour on a GPU, a week on a CPU)
	$(BIN)/python -m synthetic_instruction_tuner.nano.training.train --out build/nano

wheel: $(STAMP)  ## build the wheel into dist/
	$(BIN)/python -m pip wheel -q --no-deps -w dist .

clean:  ## remove what make made, runs excepted
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
