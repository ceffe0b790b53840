# make lab     the course in JupyterLab: installs what is missing, copies new exercises to my-work/
# make test    everything that must hold, set-up included
# make build   lessons/ -> notebooks/, exercises/, solutions/ (only what changed)
# make check   is what is committed what the lessons say?
# make bench   timings, into benchmarks/*.md
# make verify-checkpoints   measure samples of the committed networks again (EVERYTHING=1: all of it, hours)
# make clean   remove the environment and caches; my-work/ stays
# CPU=1        with lab or test, the first time: PyTorch's CPU builds, 4 GB less to download
# PYTHON=...   the Python (3.11 or newer) to make the environment with
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: lab test build check bench verify-checkpoints clean
lab: $(VENV)/installed
	$(BIN)/python -m helpers.lab $(LAB_OPTIONS)

# Two tests at a time with a thread each are faster than one with two.
test: export OMP_NUM_THREADS = 1
test: $(VENV)/installed-test check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_OPTIONS)
	WORKBOOK_PROGRESS=$$(mktemp -d)/progress.json $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --nbval-lax --nbval-current-env --nbval-cell-timeout=300 -q solutions

build: $(VENV)/installed
	$(BIN)/python lessons/build.py

check: $(VENV)/installed
	$(BIN)/python lessons/build.py --check

bench: $(VENV)/installed-test
	$(BIN)/python -m benchmarks.kernels
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.explorers

verify-checkpoints: $(VENV)/installed-test
	$(BIN)/python -m helpers.measure $(if $(EVERYTHING),--all)

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .hypothesis test-results
	find . -name __pycache__ -not -path './my-work/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, but $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing the course into $(VENV). PyTorch is large: the README says how long this takes."
ifdef CPU
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python --torch-backend=cpu 'torch>=2.14' 'torchvision>=0.29'
endif
	$(BIN)/python -m pip install -e .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install -e '.[test]'
	@touch $@
