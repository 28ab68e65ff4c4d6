# One list of commands. `make` alone prints it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests run side by side; browsers and whole houses are heavy, so not one per core beyond two.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test soak check fix bench lock install install-dev servers clean

help: ## Print this list.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: install ## Play a whole study at three hospitals and stay up (ONCE=1: exit after the study).
	@$(BIN)/python -m demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

test: install-dev servers ## Run every test: unit, property, real servers, processes, browser.
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not processes and not browser and not soak"
	$(BIN)/python -m tests.servers postgresql -- $(BIN)/pytest -n $(WORKERS) --dist loadfile tests/audit tests/accounts tests/studies tests/governance tests/workers/coordinator
	$(BIN)/pytest -m "processes or browser"

soak: install-dev servers ## Run the long campaigns; their last results stand in docs/soak.md.
	$(BIN)/pytest -s -m soak tests/soak

check: install-dev ## Look, change nothing: style, types, import contracts, migrations, generated docs.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py draw_states --check
	$(BIN)/python manage.py write_schemas --check
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml.new && \
	  { cmp docs/openapi.yaml docs/openapi.yaml.new && rm docs/openapi.yaml.new; } || \
	  { rm -f docs/openapi.yaml.new; echo "docs/openapi.yaml is stale: run make fix"; exit 1; }

fix: install-dev ## Repair what can be repaired: format, imports, generated docs.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python manage.py draw_states
	$(BIN)/python manage.py write_schemas
	$(BIN)/python manage.py spectacular --file docs/openapi.yaml

bench: install-dev ## Measure; writes benchmarks/results.json and docs/performance.md.
	$(BIN)/python -m benchmarks

lock: install-dev ## Compile the lock files: hashes, and no registry's address.
	$(BIN)/pip install --quiet uv
	for extras in "site" "portal" "portal site twin" "portal site twin dev"; do \
	  name=$${extras##* }; [ "$$name" = twin ] && name=demo; \
	  $(BIN)/uv pip compile pyproject.toml requirements/build.in --universal --generate-hashes \
	    --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet \
	    $$(for extra in $$extras; do printf -- '--extra %s ' $$extra; done) -o requirements/$$name.txt; \
	done

# A stamp per lock file: a second `make demo` installs nothing and starts in seconds.
install: $(VENV)/installed-demo
install-dev: $(VENV)/installed-dev

$(VENV)/installed-%: requirements/%.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Quorate needs Python 3.11, 3.12 or 3.13: make PYTHON=/path/to/python3 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what requirements/$*.txt locks (about a minute the first time) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@[ "$*" = demo ] || touch $(VENV)/installed-demo

servers: ## Install what the tests start: PostgreSQL, Redis, Chromium (Debian packages).
	@$(BIN)/python -m tests.servers check || { \
	  as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$as_root apt-get update -qq && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql redis-server chromium; \
	  $(BIN)/python -m tests.servers check; }

clean: ## Remove the demo's state (keys, databases, data) and caches; keep the environment.
	rm -rf .demo .portal static-collected .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
