# make demo    install what is missing, build, run a trained network on every simulator (under 10 minutes)
# make test    install what is missing, run all tests (under 20 minutes on 2 cores)
# make lint    format, lint and types          make bench   figures that the documentation states
# make soak    100,000 random programs, 10,000 networks
# make coverage  all tests, and the lines and branches of the Python that they run
# make docs    the documentation's site, in build/site
# make fuzz    damaged models until interrupted, or for SECONDS=N
# make clean   remove what was built here

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= $(shell nproc)
PACKAGES := g++ make verilator iverilog zlib1g-dev python3-venv

.PHONY: demo test coverage soak fuzz bench lint docs system clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo.stamp
	$(BIN)/tilewright demo

test: $(VENV)/test.stamp
	OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist worksteal -q

bench: $(VENV)/test.stamp
	TILEWRIGHT_BENCH=1 $(BIN)/pytest -q -s tests/performance

# Instrumented code is several times slower: its speed is nobody's measure.
coverage: $(VENV)/test.stamp
	mkdir -p build/coverage && rm -f build/coverage/data*
	OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist worksteal -q --timeout 3600 --ignore tests/performance --cov --cov-report=
	$(BIN)/coverage report --skip-covered --include 'isa/*' --fail-under 95
	$(BIN)/coverage report --skip-covered --fail-under 90

soak: export TILEWRIGHT_PROGRAMS = 100000
soak: $(VENV)/test.stamp
	$(BIN)/pytest -n $(JOBS) --timeout 0 -q tests/differential tests/models/test_tflite.py \
	  tests/isa/test_races.py tests/compiler/test_races_of_networks.py tests/cli/test_area.py tests/explore tests/fpga \
	  tests/simulator/test_waveform.py

SECONDS ?= inf
fuzz: export TILEWRIGHT_FUZZ_SECONDS = $(SECONDS)
fuzz: $(VENV)/test.stamp
	$(BIN)/pytest -n 2 --timeout 0 -q -s tests/fuzz -k damaged

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	rm -rf build/types && mkdir -p build/types/tilewright
	for part in *.py cli compiler driver explore fpga hw isa models simulator; do ln -s ../../../$$part build/types/tilewright/; done
	MYPYPATH=build/types $(BIN)/mypy --cache-dir build/mypy

docs: $(VENV)/docs.stamp
	$(BIN)/mkdocs build --strict

system:
	@missing=""; \
	command -v g++ >/dev/null && command -v make >/dev/null || missing=1; \
	command -v verilator >/dev/null && command -v iverilog >/dev/null || missing=1; \
	[ -e /usr/include/zlib.h ] && $(PYTHON) -c 'import ensurepip' 2>/dev/null || missing=1; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then \
	    echo "Installing system packages: $(PACKAGES)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(PACKAGES) >/dev/null; \
	  else \
	    echo "System packages are missing. Run:  sudo apt-get install -y $(PACKAGES)" >&2; exit 1; \
	  fi; \
	fi

$(VENV)/bin/python: | system
	@echo "Creating a Python environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)

$(VENV)/%.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Tilewright's $* packages into $(VENV): about a minute"
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

clean:
	rm -rf build dist *.egg-info $(VENV)
