# make demo: watch four agents drain a directory.   make test: the whole suite.   make lint: what CI checks besides.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
BIN := .venv/bin
WORKERS ?= 2

.PHONY: demo test lint bench clean

demo: .venv/.installed
	@$(BIN)/dibs demo

test: .venv/.installed-dev
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q

lint: .venv/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv/.installed-dev
	@$(BIN)/python bench/start.py

clean:
	rm -rf .venv build dist

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Dibs needs Python 3.11 or newer; none was found. Install one, or: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml
	@echo "installing Dibs into .venv …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.installed-dev: .venv/bin/python pyproject.toml
	@echo "installing Dibs and its test tools into .venv …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/.installed
