# Everything a person or a machine does here, by name. Extra arguments: make test ARGS="-k sync"
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test lint bench web pins image-check clean

PYTHON := .venv/bin/python
ARGS ?=

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start Straja here and print its address (Ctrl-C stops it)
	@./straja up $(ARGS)

test: ## run every test; offers to install missing parts (PostGIS, Chromium) when root
	@./straja setup test build demo
	@.ci/parts
	@./straja build-console
	@$(PYTHON) -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: ## check style, types, the direction of imports, and the front end's types
	@./straja setup test build bench
	@echo "ruff"; $(PYTHON) -m ruff check .
	@echo "mypy --strict dispatch gis devices"; $(PYTHON) -m mypy --strict dispatch gis devices
	@echo "mypy app bench"; $(PYTHON) -m mypy app bench config.py
	@echo "imports"; PYTHONPATH=. $(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	@echo "front end"; ./straja build-console --check

bench: ## measure, beside a peer, and print a table (ARGS="NAME --json --full")
	@./straja setup bench
	@./straja bench $(ARGS)

web: ## build the console from app/web into app/static/console
	@./straja build-console --force

pins: ## resolve requirements*.in anew into requirements*.txt, with the hashes of every platform
	@./straja setup test
	@for set in "" -build -test -bench; do \
	    $(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	        --no-config --no-annotate requirements$$set.in -o requirements$$set.txt; echo "  requirements$$set.txt"; \
	done
	@$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-config --no-annotate --no-deps requirements-demo.in -o requirements-demo.txt; echo "  requirements-demo.txt"

image-check: ## prove the Dockerfile with buildah, without an engine (root; some minutes, 15 GB)
	@.ci/image-check

clean: ## remove what was built or cached; var/ (your data) stays
	@rm -rf .venv .venv.lock app/static/console app/web/node_modules bench/out
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +
	@echo "Removed builds and caches; var/ was left alone."
