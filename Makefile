# Every target makes .venv by itself, and again only when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= out

.PHONY: demo test test-all lint labs notebooks docs gallery pages bench peers clean

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
	$(BIN)/pytest -m 'not slow' -n 2 --dist loadfile

test-all: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# After a change of notebooks/text/*.py, or of a notebook: the older of the two follows the newer one.
labs: $(STAMP)
	$(BIN)/jupytext --sync notebooks/text/*.py

notebooks: $(STAMP)
	HALFLIFE_SHORT=1 $(BIN)/python notebooks/execute.py

# The site goes into site/. Strict: a broken link or anchor is an error (with --quiet MkDocs would not count them).
DOCS := $(VENV)/.installed-docs

$(DOCS): $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Pictures of the library, and what the pages of docs/ print and draw, made anew: minutes of simulation each.
gallery: $(STAMP)
	$(BIN)/python docs/make_gallery.py

pages: $(STAMP)
	$(BIN)/python docs/run_pages.py --write

bench: $(STAMP)
	for b in benchmarks/bench_*.py; do $(BIN)/python $$b || exit 1; done

# Other tools that the benchmarks compare with; each pins old packages, so each gets an environment of its own.
PEERS := evidently nannyml alibi-detect frouros river ciw salabim
PEER_evidently := 'pandas<3'
PEER_nannyml := 'pandas<3' statsmodels

peers: $(foreach peer,$(PEERS),.venv-peers/$(peer)/.installed)

.venv-peers/%/.installed:
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/pip install --quiet --disable-pip-version-check $* $(PEER_$*)
	touch $@

clean:
	rm -rf $(VENV) .venv-peers $(OUT) build site *.egg-info
