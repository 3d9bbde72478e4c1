# make lab    opens the quickstart in JupyterLab        make test   everything that CI checks
# make demo   runs the quickstart without a browser     make bench  the measurements in tests/benchmarks
# make build  bundles js/ into vit_widgets/static       make lint   style and types only
# make nightly looks at every architecture of timm on the meta device (ten minutes)
# make floors runs the widget tests on the versions that Google Colab has
#
# VENV=path   the environment (several clones may share one)     PYTHON=python3.12   the interpreter

PYTHON ?= python3
VENV ?= .venv

override VENV := $(abspath $(VENV))
BIN := $(VENV)/bin

# A shared environment may hold an editable install of another clone: this one goes first.
export PYTHONPATH := $(CURDIR)

# One stamp per set of extras and content of pyproject.toml: repeated runs skip the installation.
KEY := $(firstword $(shell cksum pyproject.toml))
installed = $(VENV)/.vit_widgets-$(1)-$(KEY)

.PHONY: lab test nightly floors demo bench build lint clean browser
.DELETE_ON_ERROR:

lab: $(call installed,lab)
	$(BIN)/jupyter lab notebooks/quickstart.ipynb

# pytest comes last: its closing line is the answer.
test: lint browser
	npm test
	$(BIN)/python -m pytest --color=no

# The widgets alone, on the oldest versions that they promise (those of Google Colab).
floors: $(VENV)-floors/bin/python
	$(VENV)-floors/bin/python -m pytest --color=no -p no:cacheprovider tests/widgets tests/test_jobs.py

$(VENV)-floors/bin/python:
	$(PYTHON) -m venv $(VENV)-floors
	$@ -m pip install --quiet "anywidget==0.9.21" "ipywidgets==7.7.1" "traitlets==5.7.1" \
		"ipykernel==6.17.1" "numpy==2.1.3" pillow pytest hypothesis

lint: $(call installed,test) node_modules/.package-lock.json
	npm run check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

demo: $(call installed,lab)
	$(BIN)/jupyter nbconvert --execute --to notebook --output-dir build/demo \
		--log-level WARN notebooks/quickstart.ipynb
	@echo "Executed notebook: $(CURDIR)/build/demo/quickstart.ipynb"

nightly: $(call installed,test)
	$(BIN)/python -m pytest --color=no -m nightly tests/families

bench: $(call installed,bench) browser
	$(BIN)/python -m tests.benchmarks.capture_overhead
	$(BIN)/python -m tests.benchmarks.dataset_scan
	$(BIN)/python -m tests.benchmarks.layer_change
	$(BIN)/python -m tests.benchmarks.first_view
	$(BIN)/python -m tests.benchmarks.faithfulness
	$(BIN)/python -m tests.benchmarks.feature_visualization
	$(BIN)/python -m tests.benchmarks.patch_features
	$(BIN)/python -m tests.benchmarks.token_depth
	$(BIN)/python -m tests.benchmarks.token_clusters
	$(BIN)/python -m tests.benchmarks.token_scatter
	$(BIN)/python -m tests.benchmarks.token_views
	$(BIN)/python -m tests.benchmarks.attribution
	$(BIN)/python -m tests.benchmarks.head_dashboard
	$(BIN)/python -m tests.benchmarks.attribution_tab
	$(BIN)/python -m tests.benchmarks.heads

build: node_modules/.package-lock.json
	npm run build

clean:
	rm -rf build dist node_modules .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache tests/browser/screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -- Set-up ------------------------------------------------------------------------------------

browser: $(call installed,test)
	$(BIN)/python -m tests.browser.chromium --install

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.vit_widgets-%-$(KEY): | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	touch $@

node_modules/.package-lock.json: package.json package-lock.json
	npm ci
	touch $@
