# Vitrine. `make` alone lists the commands.
SHELL := /bin/sh
PYTHON ?= python3
PYTEST_ARGS ?=
# On a machine without a GPU: make install TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BROWSER ?= yes

BIN := .venv/bin
STAMP := .venv/.installed-$(shell cat requirements.txt 2>/dev/null | cksum | tr -d ' ')
DEV_STAMP := .venv/.installed-dev-$(shell cat requirements.txt requirements-dev.txt 2>/dev/null | cksum | tr -d ' ')

.DEFAULT_GOAL := help
.PHONY: help install run test bench check fmt demo dev clean dev-install chromium

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## Make the environment in .venv; starts nothing

run: $(STAMP) ## Install if needed, publish demo runs into an empty store, start everything, print the address
	@exec $(BIN)/python -m dashboard.supervisor

test: dev-install chromium ## Install what the tests need and run all of them (PYTEST_ARGS=..., BROWSER=no)
	@exec $(BIN)/python -m $(if $(PYTEST_ARGS)$(filter no,$(BROWSER)),pytest $(if $(filter no,$(BROWSER)),-m "not browser") $(PYTEST_ARGS),tests)

bench: dev-install ## Measure and print the benchmark tables
	@exec $(BIN)/python -m tests.bench

check: dev-install ## Lint and type-check (ruff, mypy strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fmt: dev-install ## Format the code
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

demo: $(STAMP) ## Publish the demo runs into the configured store
	@exec $(BIN)/python -m dashboard.supervisor --demo

dev: $(STAMP) ## Like run, with hot reload of the web server
	@exec $(BIN)/python -m dashboard.supervisor --dev

clean: ## Remove the environment and caches; the data folder stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

dev-install: $(DEV_STAMP)

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Vitrine needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) -V 2>&1`. Try: make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the packages into .venv (about 2 GB, with the CUDA build of PyTorch several more): some minutes ..."
	$(if $(TORCH_INDEX),@$(BIN)/python -m pip install --disable-pip-version-check -q "$$(grep '^torch==' requirements.txt)" --index-url $(TORCH_INDEX))
	@$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	@rm -f .venv/.installed-[0-9]* && touch $@

$(DEV_STAMP): $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	@rm -f .venv/.installed-dev-* && touch $@

chromium:
	@if [ "$(BROWSER)" = no ] || [ -n "$$CHROMIUM" ]; then exit 0; fi; \
	for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  if command -v $$name >/dev/null 2>&1; then exit 0; fi; done; \
	as_root=; if [ "$$(id -u)" != 0 ]; then as_root="sudo -n"; fi; \
	if command -v apt-get >/dev/null 2>&1 && $$as_root true 2>/dev/null; then \
	  echo "Installing Chromium for the browser tests"; \
	  if { $$as_root apt-get install -y -q chromium || { $$as_root apt-get update -q && $$as_root apt-get install -y -q chromium; }; } \
	    </dev/null >/tmp/vitrine-chromium-$$$$.log 2>&1; then exit 0; fi; tail -5 /tmp/vitrine-chromium-$$$$.log; fi; \
	echo "The browser tests need Chromium. Install the package 'chromium' (or Google Chrome), or name one: CHROMIUM=/path/to/it make test."; \
	echo "All other tests: make test BROWSER=no"; exit 1
