# The executable Lottery Ticket book.  `make help` lists what can be made.
#
# PYTHON=python3.12  which Python makes the environment (3.11 to 3.13)
# UV=                use plain pip even where uv is installed
# LTH_RUNS=folder    where trained runs are kept

PYTHON ?= python3
UV ?= $(shell uv --version >/dev/null 2>&1 && echo uv)
PORT ?= 8000

export LTH_RUNS ?= $(CURDIR)/_build/runs

VENV := .venv
PY := $(VENV)/bin/python
# The environment is known by the hash of what made it: a git checkout moves
# files' times.
HASH := $(shell cat pyproject.toml requirements.lock | cksum | cut -d' ' -f1)
READY := $(VENV)/ready-$(HASH)

ifdef UV
USABLE = $(PY) --version
CREATE = $(UV) venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
INSTALL = $(UV) pip install --quiet --python $(PY)
else
USABLE = $(PY) -m pip --version
CREATE = $(PYTHON) -m venv --clear $(VENV)
INSTALL = $(PY) -m pip install --quiet --disable-pip-version-check --progress-bar off
endif

.DEFAULT_GOAL := help
.PHONY: help book test lint notebooks serve clean colab release grade record bench lock try

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

book: notebooks ## run the notebooks, render the book, say where to open it
	@$(VENV)/bin/jupyter-book build . -W -n --keep-going
	@$(PY) book/run_notebooks.py --report

test: lint ## style, types, every test, the book in a browser
	@$(PY) -m pytest

lint: $(READY) ## style (ruff, notebooks too) and types (mypy)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

notebooks: $(READY) ## run the notebooks that changed, quick profile
	@$(PY) book/run_notebooks.py

serve: ## show the built book on http://localhost:8000, or PORT
	@test -e _build/html/index.html || { echo "There is no book yet: make book first."; exit 1; }
	@$(PY) book/serve.py "$(PORT)"

clean: ## remove what was built and trained; .venv stays
	rm -rf _build .mypy_cache .pytest_cache .ruff_cache .hypothesis

colab: $(READY) ## run every chapter as Colab would (needs Python 3.12)
	@$(PY) tests/colab.py $(CHAPTERS)

release: $(READY) ## write the students' version of the assignments
	@$(PY) book/assignments.py release

grade: $(READY) ## grade FROM/<student>/*.ipynb into _build/grades.csv
	@test -n "$(FROM)" || { echo "Say where the submissions are: make grade FROM=folder"; exit 1; }
	@$(PY) book/assignments.py grade "$(FROM)"

record: $(READY) ## train results/NAME/PROFILE again, as in make record NAME=lenet-mnist
	@$(VENV)/bin/lth run $(or $(NAME),lenet-mnist) --profile $(or $(PROFILE),laptop) --record

bench: $(READY) ## measure speed; RECORD=1 writes results/bench (half an hour)
	@$(PY) -m benchmarks.bench $(if $(RECORD),--record)

lock: ## renew requirements.lock from pyproject.toml (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 \
	  --no-emit-index-url --generate-hashes --all-extras --no-annotate \
	  --custom-compile-command "make lock" -o requirements.lock pyproject.toml

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed, and $(PYTHON) is none of them:" \
	    "name yours, as in  make book PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) from requirements.lock with $(or $(UV),pip):" \
	  "about 5 GB, a minute or several."
	@$(USABLE) >/dev/null 2>&1 || $(CREATE)
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/ready-*
	@touch $@

try: $(READY) ## prune, rewind, train: a ticket against its reinit, a minute
	@$(VENV)/bin/lth demo
