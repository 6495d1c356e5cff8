# One command each. Everything is set up from Python 3.11, pip and make alone.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/bin/python -m pip --quiet

.PHONY: setup run test browser iproute2 promtool systemd dist docs docs-serve reference screenshots dashboard-cost dashboard-idle chaos mailing-day stored-sizes tally-rate recount-rate warehouse-rate redis-latency slow-clients http-pairs slow-database report-cost bench bench-anatomy bench-growth fuzz check sbom format lock clean

setup: $(READY)

$(READY): pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Matchback needs Python 3.11 or newer; set PYTHON=python3.11")'
	@echo "Setting up $(VENV): a minute or so"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --only-binary :all: --requirement requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

run: setup  ## everything up, with the demo
	@$(VENV)/bin/matchback up

# Two processes, each with its own servers: half of a test is waiting for what it started.
test: setup browser iproute2 promtool systemd $(VENV)/.chdb $(VENV)/.bench  ## all tests, on real servers and in a real browser that they start themselves
	@$(VENV)/bin/pytest --numprocesses 2 --dist worksteal

# ClickHouse's engine, which is large, and which nothing but its tests needs.
$(VENV)/.chdb: $(READY) requirements-chdb.txt
	@$(PIP) install --require-hashes --only-binary :all: --requirement requirements-chdb.txt
	@touch $@

# The queues that Matchback is measured against.
$(VENV)/.bench: $(READY) requirements-bench.txt
	@$(PIP) install --require-hashes --only-binary :all: --requirement requirements-bench.txt
	@touch $@

# A program out of a package of Debian's, installed where that may be done: its names, the package, how long it takes, which tests need it.
define debian
	@PATH="$$PATH:/usr/sbin:/sbin"; command -v $(1) >/dev/null || { \
	    test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "Installing $(2): $(3)" \
	    && apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --no-install-recommends $(2) >/dev/null; } || { \
	    echo "The tests of $(4) need one package that is missing: $(2) (Debian: sudo apt-get install $(2))"; exit 1; }
endef

# No package of PyPI's carries a browser.
browser:
	$(call debian,chromium chromium-browser google-chrome,chromium,a minute or so,the dashboard)

# With it the tests of several machines make hosts and cables.
iproute2:
	$(call debian,ip,iproute2,some seconds,several machines)

# Its systemd-analyze reads the units of deploy/systemd. Nothing of it is started.
systemd:
	$(call debian,systemd-analyze,systemd,some seconds,the units (systemd-analyze))

# Prometheus' own checker of alert rules, out of Debian's package: installing that would start a server.
promtool: setup
	@command -v promtool >/dev/null || test -x $(VENV)/bin/promtool || { \
	    command -v apt-get >/dev/null && echo "Fetching promtool: 20 MB" \
	    && { test "$$(id -u)" != 0 || apt-get update --quiet=2; } \
	    && rm -rf build/promtool && mkdir -p build/promtool \
	    && (cd build/promtool && apt-get download --quiet=2 --option APT::Sandbox::User=root prometheus && dpkg -x prometheus_*.deb .) \
	    && install build/promtool/usr/bin/promtool $(VENV)/bin/promtool && rm -rf build/promtool; } || { \
	    echo "The tests of the alert rules need one program that is missing: promtool (Debian: sudo apt-get install prometheus)"; exit 1; }

dist: setup  ## the wheel and the sdist: dist/
	@rm -rf dist
	@$(VENV)/bin/python -m hatchling build -t sdist -t wheel -d dist

docs: setup  ## the documentation as a site: build/site/index.html
	@$(VENV)/bin/zensical build --strict

docs-serve: setup  ## the same at http://localhost:8001, made anew whenever a page is saved
	@$(VENV)/bin/zensical serve --dev-addr localhost:8001

reference: setup  ## docs/reference from the source: settings, commands, API, metrics
	@$(VENV)/bin/python -m tools.docs.reference
	@$(VENV)/bin/python -m tools.docs.metrics_reference

screenshots: setup browser  ## pictures of the demo's dashboard, the README's among them
	@$(VENV)/bin/python -m tools.docs.screenshots

dashboard-cost: setup  ## how long each page takes at 100,000 recipients: make dashboard-cost EMAILS=100000
	@$(VENV)/bin/python -m tools.bench.dashboard_cost --emails $(EMAILS)

dashboard-idle: setup  ## what 100 open dashboards cost while nothing happens
	@$(VENV)/bin/python -m tools.bench.dashboard_idle

bench: setup $(VENV)/.bench  ## Matchback beside the limit of its parts, and beside naive forms of it: docs/performance.md
	@$(VENV)/bin/python -m tools.bench

bench-anatomy: setup  ## where the time of a request and of a job goes, with a picture
	@$(VENV)/bin/python -m tools.bench.anatomy

bench-growth: setup  ## what things cost at 10,000 and at 2,000,000 emails and events: make bench-growth MANY=2000000
	@$(VENV)/bin/python -m tools.bench.growth --many $(MANY)

MANY ?= 2000000
SECONDS ?= 60
SEED ?= 1
RUNS ?= 1

chaos: setup  ## kills, pauses and partitions under load, then compares: make chaos SECONDS=300 RUNS=10
	@$(VENV)/bin/python -m tools.chaos --seconds $(SECONDS) --seed $(SEED) --runs $(RUNS)

BEFORE ?= .
EXAMPLES ?= 300

fuzz: setup  ## made-up requests of four users, held against the OpenAPI document
	@$(VENV)/bin/python -m tools.fuzz.__main__ --examples $(EXAMPLES) --seed $(SEED)

EMAILS ?= 100000
IMPORTED ?= 6000

mailing-day: setup  ## a mailing imported, reported of and counted: rates, memory, differences
	@$(VENV)/bin/python -m tools.bench.mailing_day --emails $(EMAILS)

stored-sizes: setup  ## the size of each collection for each 100,000 emails: make stored-sizes EMAILS=10000
	@$(VENV)/bin/python -m tools.bench.stored_sizes --emails $(EMAILS)

tally-rate: setup  ## events a second, from stored to counted
	@$(VENV)/bin/python -m tools.bench.tally_rate

recount-rate: setup  ## records a second that a recount compares: make recount-rate EMAILS=100000
	@$(VENV)/bin/python -m tools.bench.recount_rate --emails $(EMAILS)

warehouse-rate: setup  ## a warehouse that is far behind catches up: rows a second
	@$(VENV)/bin/python -m tools.bench.warehouse_rate --emails $(EMAILS)

report-cost: setup  ## a report at a thousand and a million donations
	@$(VENV)/bin/python -m tools.bench.report_cost

slow-clients: setup  ## what a POST takes while hundreds of connections stall
	@$(VENV)/bin/python -m tools.bench.slow_clients

slow-database: setup  ## count imported emails while MongoDB is paused: make slow-database IMPORTED=6000
	@$(VENV)/bin/python -m tools.bench.slow_database --emails $(IMPORTED)

http-pairs: setup  ## this web service beside another checkout's: make http-pairs BEFORE=../main
	@$(VENV)/bin/python -m tools.bench.http_pairs --before $(BEFORE)

redis-latency: setup  ## POST latency with Redis up, hung and gone, side by side in one run
	@$(VENV)/bin/python -m tools.bench.redis_latency

# What looks like a secret and is none: examples of Stripe's and Standard Webhooks', and test data.
NO_SECRETS := whsec_|MFkw|KLhYe|u:secret@|eyJhbGci|"ipes"|horse battery|"short"|user:password|user:secret|password=secret|records\.(New)?ApiKey

check: setup  ## style, types, import directions, insecure code, secrets, advisories
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@git ls-files -z | xargs -0 $(VENV)/bin/detect-secrets-hook --exclude-files requirements.txt --exclude-lines '$(NO_SECRETS)'
	@$(VENV)/bin/python -m tools.advisories

sbom: setup  ## what the service is made of, as CycloneDX: build/sbom.json
	@mkdir -p build
	@$(VENV)/bin/cyclonedx-py environment $(VENV) --pyproject pyproject.toml --output-reproducible --output-format JSON --output-file build/sbom.json
	@echo build/sbom.json

format: setup
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format --quiet .

LOCK := --universal --python-version 3.11 --generate-hashes --no-annotate --quiet --custom-compile-command "make lock"

lock:  ## pin what pyproject.toml asks for, with hashes; UPGRADE=--upgrade for newer versions
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@PIP_DISABLE_PIP_VERSION_CHECK=1 build/lock/bin/python -m pip --quiet install --require-hashes --only-binary :all: --requirement requirements-lock.txt
	@build/lock/bin/uv pip compile pyproject.toml --extra embedded --extra postgresql --extra clickhouse --extra otel --extra sqs --extra dev $(LOCK) --output-file requirements.txt $(UPGRADE)
	@echo 'duckdb>=2' | build/lock/bin/uv pip compile pyproject.toml - --extra postgresql --extra clickhouse --extra otel --extra sqs $(LOCK) --constraint requirements.txt --output-file deploy/requirements.txt $(UPGRADE)
	@echo chdb | build/lock/bin/uv pip compile - $(LOCK) --constraint requirements.txt --output-file requirements-chdb.txt $(UPGRADE)
	@printf 'celery\nrq\ndramatiq[redis]\n' | build/lock/bin/uv pip compile - $(LOCK) --constraint requirements.txt --output-file requirements-bench.txt $(UPGRADE)
	@echo uv | build/lock/bin/uv pip compile - $(LOCK) --output-file requirements-lock.txt $(UPGRADE)

clean:
	@rm -rf $(VENV) build dist .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
