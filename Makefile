# Requires Python 3.11, pip and make. `make` lists the targets.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
UPGRADE ?=
# Tests start hundreds of processes, so the first one writes compiled modules, also if the shell disables that.
COMPILED := PYTHONDONTWRITEBYTECODE=

.PHONY: help setup setup-test setup-docs setup-bench programs run test test-unit check format docs reference bench chaos dist lock clean

help:  ## list these targets
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*##/\1:/p' Makefile | while IFS=: read -r name text; do printf '%-10s %s\n' "$$name" "$$text"; done
	@echo; echo "For all other tools, run .venv/bin/python -m tools.NAME: see CONTRIBUTING.md. PYTHON=python3.12 sets the Python of .venv."

# Prepare .venv for one purpose. An explicit PYTHON takes precedence over the Python of an existing .venv.
define install
	@python=$(VENV)/bin/python; case "$(origin PYTHON)" in file|default) "$$python" -c '' 2>/dev/null || python="$(PYTHON)";; *) python="$(PYTHON)";; esac; \
	command -v "$$python" >/dev/null || { echo "Matchback needs Python 3.11 or newer, and $$python was not found. Set PYTHON=python3.11." >&2; exit 1; }; \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Matchback needs Python 3.11 or newer, and %s is Python %d.%d. Set PYTHON=python3.11." % (sys.executable, sys.version_info[0], sys.version_info[1]) or 0)' \
	&& "$$python" requirements/install.py $(1)
endef

setup:  ## create .venv with the packages for `make run`
	$(call install,run)

setup-test:
	$(call install,test)

setup-docs:
	$(call install,docs)

setup-bench:
	$(call install,bench)

run: setup  ## start everything, with the demo
	@$(VENV)/bin/matchback up

# PyPI lacks a browser, promtool, systemd-analyze and ip.
programs: setup-test
	@$(RUN) tools.programs

# Use three processes on two processors, each with its own servers, because tests often wait.
test: setup-test programs  ## run all tests, on real servers and in a real browser
	@$(COMPILED) $(VENV)/bin/pytest --numprocesses 3 --dist worksteal --durations 10

test-unit: setup-test  ## run the tests that need no server, in under a minute
	@$(COMPILED) $(VENV)/bin/pytest tests/unit --numprocesses 2 --dist worksteal --durations 10

check: setup-test  ## check style, types, imports, prose, secrets and advisories
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@git ls-files -z | xargs -0 $(VENV)/bin/codespell
	@$(RUN) tools.prose
	@git ls-files -z | xargs -0 $(RUN) tools.secrets
	@$(RUN) tools.advisories

format: setup-test  ## format the source, and fix what ruff can fix
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format --quiet .

docs: setup-docs  ## build the documentation: site/index.html
	@$(VENV)/bin/zensical build --strict

reference: setup-test  ## write docs/reference from the source
	@$(RUN) tools.docs.reference
	@$(RUN) tools.docs.metrics_reference

bench: setup-bench  ## measure Matchback, its parts and naive designs: docs/explanation/performance.md
	@$(RUN) tools.bench

chaos: setup  ## cause random faults for a minute, then compare all counters
	@$(RUN) tools.chaos

dist: setup  ## build the wheel and the sdist: dist/
	@rm -rf dist
	@$(RUN) hatchling build -t sdist -t wheel -d dist

lock:  ## pin the packages of pyproject.toml; UPGRADE=--upgrade takes newer versions
	@$(PYTHON) requirements/lock.py $(UPGRADE)

clean:  ## remove .venv and all build output
	@rm -rf $(VENV) build dist site .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
