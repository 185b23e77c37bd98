# Needs python3 with its venv module, and make. The first target that runs sets up an isolated environment with
# the versions of requirements.lock; later ones find it ready.
#
#   make run     run a kernel on a chip and check its result       make lint    ruff and basedpyright
#   make test    the tests                                         make docs    write docs/isa.md from the table
#   make slow    the tests that take minutes                       make bench   the benchmarks
#   make smoke   a few tests, for another PYTHON                   make sweep   the exhaustive tests: hours
#   make support renew docs/support.md from a run of the tests     make clean   remove all that make made
#   make lock    renew requirements.lock
#
# `make test PYTHON=python3.13 VENV=.venv-3.13` uses another interpreter; ARGS goes to pytest and to the benchmarks.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

RUNTIME := $(VENV)/.installed
LINTERS := $(VENV)/.installed-dev

# Every version comes from the lock, the build backend's too, and nothing is ever compiled.
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --constraint requirements.lock --only-binary :all: --no-build-isolation

# An environment holds its own path and its interpreter: one that was moved, copied here or made by another
# PYTHON is made anew.
MADE_BY := $(PYTHON) in $(CURDIR)/$(VENV)
ifneq ($(shell cat $(RUNTIME) 2>/dev/null),$(MADE_BY))
.PHONY: $(RUNTIME)
endif

.PHONY: run test slow smoke sweep lint format docs support bench lock clean
.DEFAULT_GOAL := run

run: $(RUNTIME)
	$(VENV)/bin/m890 run programs/saxpy.toml

test: $(RUNTIME)
	$(VENV)/bin/pytest -n auto $(ARGS)

slow: $(RUNTIME)
	$(VENV)/bin/pytest -n auto -m "slow and not sweep" $(ARGS)

smoke: $(RUNTIME)
	$(VENV)/bin/m890 run programs/saxpy.toml
	$(VENV)/bin/pytest -m "smoke and not slow" $(ARGS)

sweep: $(RUNTIME)
	$(VENV)/bin/pytest -m sweep $(ARGS)

lint: $(LINTERS)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/basedpyright --warnings

format: $(LINTERS)
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

docs: $(RUNTIME)
	$(VENV)/bin/python -m m890.tools.manual docs/isa.md
	$(VENV)/bin/python -m m890.tools.tables docs/assembly.md docs/launch-files.md docs/programs.md

support: $(RUNTIME)
	M890_SUPPORT=tests/data/support.json.0 $(VENV)/bin/pytest -n auto -q --ignore tests/test_support.py $(ARGS)
	M890_SUPPORT=tests/data/support.json $(VENV)/bin/pytest -n auto -q -m slow tests/test_matrix.py
	$(VENV)/bin/python -m m890.tools.support tests/data/support.json docs/support.md

bench: $(RUNTIME)
	$(VENV)/bin/m890 bench $(ARGS)

$(RUNTIME): pyproject.toml setup.py requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "m890 needs Python 3.11 or later: make PYTHON=...")'
	@echo "setting up $(VENV) (once, about a minute)" >&2
	@if [ "$$(cat $@ 2>/dev/null)" != "$(MADE_BY)" ]; then $(PYTHON) -m venv --clear $(VENV); fi
	@rm -f $@
	@$(INSTALL) setuptools
	@$(INSTALL) --editable '.[test,mpi]'
	@echo "$(MADE_BY)" > $@

$(LINTERS): $(RUNTIME)
	@echo "adding ruff, basedpyright and pre-commit to $(VENV)" >&2
	@$(INSTALL) --editable '.[test,mpi,dev]'
	@touch $@

# One version of each package on every Python, so that a result never depends on it.
lock:
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip --quiet install uv
	echo setuptools | .venv-lock/bin/uv pip compile --quiet --upgrade --system-certs --universal --fork-strategy fewest \
		--python-version 3.11 --all-extras --custom-compile-command "make lock" --output-file requirements.lock \
		pyproject.toml -
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-* build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
