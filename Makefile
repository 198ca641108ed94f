# make demo: watch four agents drain a directory.   make test: the whole suite.   make lint: what CI checks besides.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
BIN := .venv/bin
# many tests wait for other processes: two workers more than two cores
WORKERS ?= 4

.PHONY: demo test lint bench clients clean

demo: .venv/.installed
	@$(BIN)/dibs demo

# hundreds of interpreters are started, and each would compile everything again
test: export PYTHONDONTWRITEBYTECODE :=
test: .venv/.installed-dev
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q

lint: .venv/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv/.installed-dev
	@$(BIN)/python bench/everything.py

# the real MCP clients that tests/clients starts; without them those tests are skipped
clients: .clients/.installed
	@:

clean:
	rm -rf .venv .clients build dist

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

.clients/.installed: tests/clients/package.json
	@command -v npm >/dev/null && node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' 2>/dev/null || { \
		echo "The real clients need Node.js 20 or newer, with npm; install it, then: make clients" >&2; exit 1; }
	@echo "installing the real clients into .clients …"
	@mkdir -p $(@D) && cp $< $(@D)
	@npm install --prefix $(@D) --no-package-lock --no-audit --no-fund --loglevel=error --fetch-retries=2 \
		--fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 --fetch-timeout=60000 >/dev/null || { \
		echo "npm could not install the real clients; when the network is back: make clients" >&2; exit 1; }
	@for program in claude codex gemini; do \
		HOME=$(CURDIR)/$(@D) PATH=$(CURDIR)/$(@D)/node_modules/.bin:$$PATH $$program --version >/dev/null 2>&1 || { \
		echo "$$program was installed and does not start; try: rm -rf $(@D) && make clients" >&2; exit 1; }; done
	@touch $@
