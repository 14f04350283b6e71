PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
OLDEST_PYTHON ?= python3.11
PINNED_PYTHON ?= python3.12
NEWEST_PYTHON ?= python3.13

# With it every process of a test run compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: verify test test-all planted mutants faults load lint types bench notebook docs wheel callbacks versions record readme clean

verify: $(INSTALLED)
	$(BIN)/tfixup verify

# Files run in the order of tests/conftest.py, the longest first, and not by their number of tests.
test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not models and not chromium and not slow"

test-all: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

planted: $(INSTALLED)
	$(BIN)/python -m benchmarks.planted

faults: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.faults.kills
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.faults.flips
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.faults.full_disk
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.faults.fuzz

load: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.load --tasks 100000

mutants: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,mutation,models]'
	$(BIN)/python -m benchmarks.mutants $(MUTANTS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(INSTALLED)
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.update
	$(BIN)/python -m benchmarks.update --threads 2 --out results/benchmarks/update_two_threads.json
	$(BIN)/python -m benchmarks.update --depth 50 --out results/benchmarks/update_50_layers.json
	$(BIN)/python -m benchmarks.update --depth 6 --d_model 512 --d_ff 1024 --heads 8 \
		--out results/benchmarks/update_width_512.json
	$(BIN)/python -m benchmarks.update_depth
	$(BIN)/python -m benchmarks.any_model
	$(BIN)/python -m benchmarks.any_model --blocks written-out \
		--out results/benchmarks/any_model_written_out.json
	$(BIN)/python -m benchmarks.structures
	$(BIN)/python -m benchmarks.callbacks
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.training --threads 2 --out results/benchmarks/training_two_threads.json

notebook: $(INSTALLED)
	$(BIN)/python -m pytest --nbmake --overwrite paper_checks.ipynb

docs: $(INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

wheel: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dist]'
	$(BIN)/python -m pytest tests/test_wheel.py

callbacks: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[callbacks]'
	$(BIN)/python -m pytest tests/numerics/own_model/workflow

versions: $(INSTALLED)
	$(BIN)/python -m benchmarks.versions --end oldest --python $(OLDEST_PYTHON)
	$(BIN)/python -m benchmarks.versions --end pinned --python $(PINNED_PYTHON)
	$(BIN)/python -m benchmarks.versions --end newest --python $(NEWEST_PYTHON)

record: $(INSTALLED)
	$(BIN)/tfixup verify --json results/verify/verdicts.json

readme: $(INSTALLED)
	$(BIN)/python -m benchmarks.readme

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
