# Two commands: `make run` serves causerie, `make test` runs its whole suite. Both prepare .venv.
#
#   make install   .venv with torch first, then the project and its tools
#   make run       serve; HOST=, PORT=
#   make test      every test, real weights included, with coverage; ARGS="-k name"
#   make check     format, lint, types, imports, shapes
#   make bench     build/benchmarks/NAME.json for each of BENCH=
#   make clean     remove caches and reports; .venv and models stay
#
# PYTHON=  the interpreter to build .venv with (3.11 or later)
# TORCH=   what pip installs first; may hold pip options; empty leaves torch to the resolver
# GPU=1    FAISS for CUDA instead of the CPU build

PYTHON ?= python3
TORCH  ?= torch==2.13.0
HOST   ?=
PORT   ?=
ARGS   ?=
BENCH  ?= engine

EXTRA := $(if $(filter-out 0,$(GPU)),gpu,cpu)
OTHER := $(if $(filter gpu,$(EXTRA)),cpu,gpu)
VENV  := .venv
PY    := $(VENV)/bin/python
PIP   := $(PY) -m pip --disable-pip-version-check --quiet --quiet
STAMP := $(VENV)/.installed-$(EXTRA)
NATIVE := $(wildcard llm/native/*.cpp llm/native/*.inc llm/native/*.h)
LANE  := not compile and not slow and not weights and not browser and not untyped

.PHONY: install run test check format lint types imports shapes bench clean

install: $(STAMP)

# Any newer interpreter on the PATH serves where `python3` is an old one.
$(PY):
	@for python in "$(PYTHON)" python3.14 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Creating $(VENV) with $$("$$python" --version)."; \
	    "$$python" -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	    echo "$$python cannot create an environment; on Debian: apt install python3-venv" >&2; \
	    exit 1; \
	  fi; \
	done; \
	echo "causerie needs Python 3.11 or later, and $(PYTHON) is not; say make PYTHON=/path/to/python3.11" >&2; \
	exit 1

# torch goes first: a resolver that plans all at once takes the CUDA build, with gigabytes beside it.
$(STAMP): pyproject.toml Makefile $(NATIVE) | $(PY)
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip --upgrade >/dev/null
	@rm -f $(VENV)/.installed-*
	@$(PIP) install --upgrade "pip>=25.1"
	@$(if $(strip $(TORCH)),echo "Installing torch (some minutes on a slow line)." && $(PIP) install $(TORCH))
	@$(PIP) uninstall --yes faiss-$(OTHER) 2>/dev/null || true
	@echo "Installing causerie and its tools."
	@$(PIP) install --editable ".[$(EXTRA)]" --group dev
	@HNSWLIB_NO_NATIVE=1 $(PIP) install "hnswlib>=0.8" >$(VENV)/hnswlib.log 2>&1 \
	  || echo "hnswlib cannot be compiled here (see $(VENV)/hnswlib.log); HNSW will run on FAISS."
	@touch $@

run: install
	@exec $(PY) -m api serve $(if $(HOST),--host "$(HOST)") $(if $(PORT),--port "$(PORT)")

test: install
	@$(PY) -m api models pull
	CAUSERIE_REQUIRE_WEIGHTS=1 $(PY) -m pytest --cov $(ARGS)

check: format lint types imports shapes

format: install
	$(PY) -m ruff format --check

lint: install
	$(PY) -m ruff check

types: install
	$(PY) -m mypy

imports: install
	$(VENV)/bin/lint-imports

shapes: install
	$(PY) -m pytest -q -n auto --maxprocesses 4 --jaxtyping-packages=llm,index,beartype.beartype -m "$(LANE)" tests/llm tests/index

bench: install
	@mkdir -p build/benchmarks
	@set -e; for name in $(BENCH); do \
	  $(PY) -m benchmarks.$$name --json build/benchmarks/$$name.json; \
	done

clean:
	rm -rf build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +
