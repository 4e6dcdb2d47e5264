# Each target sets up what it needs: a virtual environment in .venv, made anew when pyproject.toml changes.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint types docs bench clean

demo: $(INSTALLED)  ## scan the example logs with the example rules
	$(BIN)/sigma-pyeval scan -r examples/rules -p linux_eval --format table examples/logs/*.jsonl

test: $(INSTALLED)  ## run the test suite with coverage
	$(BIN)/python -m pytest --cov --cov-report=term

lint: $(INSTALLED)  ## check style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED)  ## check types
	MYPYPATH=. $(BIN)/mypy

docs: $(INSTALLED)  ## write the generated parts of the documentation
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(INSTALLED): pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (make PYTHON=/path/to/python3.11)"; exit 1; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,cli]'
	touch $@
