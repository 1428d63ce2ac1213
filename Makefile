# Every target makes .venv by itself, and again only when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= out

.PHONY: demo test test-all lint bench clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/halflife compare fraud_detection --out $(OUT)/fraud_detection
	$(BIN)/halflife compare electricity --out $(OUT)/electricity
	$(BIN)/halflife backtest scenarios/data/electricity_accuracy_matrix.csv --retrain-cost 0.1 --out $(OUT)/backtest
	@echo "Pictures, tables and data are in $(OUT)/"

test: $(STAMP)
	$(BIN)/pytest -m 'not slow'

test-all: $(STAMP)
	$(BIN)/pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	for b in benchmarks/bench_*.py; do $(BIN)/python $$b || exit 1; done

clean:
	rm -rf $(VENV) $(OUT) build *.egg-info
