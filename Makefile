# The executable Lottery Ticket book.  `make help` lists what can be made.
#
# PYTHON=python3.12  which Python makes the environment (3.11 to 3.13)
# UV=                use plain pip even where uv is installed
# SOURCE=folder      your own assignments, for make release and make grade
# LTH_RUNS=folder    where trained runs are kept

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
  $$python -c '$(SUPPORTED)' >/dev/null 2>&1 && echo $$python && break; done)
ifeq ($(origin UV),undefined)
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)
endif
PORT ?= 8000

export LTH_RUNS ?= $(CURDIR)/_build/runs
export HOME ?= $(CURDIR)/_build/home
# What would put other packages into the environment, or ours elsewhere.
unexport PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX

VENV := .venv
PY := $(VENV)/bin/python
# The environment is known by the hash of what made it and of where: a git
# checkout moves files' times, and people move folders.
HASH := $(shell { pwd -P; cat pyproject.toml requirements.lock; } | cksum | cut -d' ' -f1)
READY := $(VENV)/ready-$(HASH)

.DEFAULT_GOAL := help
.PHONY: help setup book test lint notebooks serve try clean colab release grade slides figures stick record bench gpu pack lock

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

book: notebooks ## run the notebooks, render the book, say where to open it
	@$(PY) book/render.py

setup: $(READY) ## make the environment, .venv, and nothing else

test: lint ## style, types, every test, the book in a browser
	@echo "Running the tests: 18 minutes on two cores"
	@$(PY) -m pytest

lint: $(READY) ## style (ruff, notebooks too) and types (mypy)
	@echo "Checking style and types: half a minute"
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

notebooks: $(READY) ## run the notebooks that changed, quick profile
	@$(PY) book/run_notebooks.py

serve: ## show the built book on http://localhost:8000, or PORT
	@test -e _build/html/index.html || { echo "There is no book yet: make book first."; exit 1; }
	@$(PY) book/serve.py "$(PORT)"

try: $(READY) ## prune, rewind, train: a ticket against its reinit, a minute
	@$(VENV)/bin/lth demo

clean: ## remove _build with all that was built, trained and graded; .venv stays
	rm -rf _build .mypy_cache .pytest_cache .ruff_cache .hypothesis

colab: $(READY) ## run all notebooks as Colab would (needs Python 3.12)
	@$(PY) tests/colab.py $(CHAPTERS)

release: $(READY) ## write the students' version of the assignments
	@$(PY) book/assignments.py release --source "$(SOURCE)" --assignment "$(ASSIGNMENT)"

grade: $(READY) ## grade FROM/<student>/*.ipynb into _build/grades
	@test -n "$(FROM)" || { echo "Say where the submissions are: make grade FROM=folder"; exit 1; }
	@$(PY) book/assignments.py grade "$(FROM)" --source "$(SOURCE)" --assignment "$(ASSIGNMENT)"

slides: notebooks ## make one HTML file of a lecture, for any browser
	@$(PY) book/make_slides.py

figures: notebooks ## write each figure as SVG and PNG into _build/figures
	@$(PY) book/export_figures.py

stick: $(READY) ## fill _build/stick for a class without a network; PLATFORM=...
	@$(PY) book/make_stick.py $(PLATFORM)$(if $(VERSION), --version "$(VERSION)")

record: $(READY) ## train results/NAME/PROFILE again, as in make record NAME=lenet-mnist
	@$(VENV)/bin/lth run $(or $(NAME),lenet-mnist) --profile $(or $(PROFILE),laptop) --record$(if $(AGAIN), --again)

bench: $(READY) ## measure speed; RECORD=1 writes results/bench (40 minutes)
	@$(PY) -m benchmarks.bench $(if $(RECORD),--record)

gpu: ## check and measure on a GPU, 9 minutes; or train RECORD=conv2 DATA=...
	@$(PYTHON) benchmarks/gpu.py$(if $(RECORD), --record "$(RECORD)")$(if $(DATA), --data "$(DATA)")$(if $(PROFILE), --profile "$(PROFILE)")$(if $(TF32), --tf32)$(if $(OUT), --out "$(OUT)")

pack: $(READY) ## pack MNIST, or pictures DATA=..., for a GPU machine
	@$(PY) benchmarks/gpu.py --pack$(if $(DATA), --data "$(DATA)")

lock: ## renew requirements.lock from pyproject.toml (needs uv)
	@test -n "$(UV)" || { echo "Install uv first: pip cannot write this file." >&2; exit 1; }
	@"$(UV)" pip compile --quiet --universal --python-version 3.11 \
	  --no-emit-index-url --generate-hashes --all-extras --no-annotate \
	  --custom-compile-command "make lock" -o requirements.lock pyproject.toml

$(READY): $(PY)
	@"$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed, and $(or $(PYTHON),python3) is" \
	    "none of them: name yours, as in  make book PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" book/set_up.py "$(UV)"
	@touch $@

# No recipe: where .venv or the Python under it is gone, it is set up again.
$(PY):
