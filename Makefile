# make train: environment, install, and a ResNet-50 trained on the built-in rendered signs, in runs/
# make test:  environment, install, and every check
# make docs:  environment, install, and the documentation, in build/site
# make notebooks: environment, install, and the notebooks executed and stored with their outputs

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: train test docs notebooks figures screenshots clean

train: $(VENV)/for-train
	$(BIN)/resnet50 train rendered-signs

test: $(VENV)/for-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	# files of tests share what they have trained; a crash ends the suite, which would wait for ever
	$(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

docs: $(VENV)/for-test
	$(BIN)/python docs/assemble.py
	$(BIN)/python -m mkdocs build --strict

# transfer.ipynb and rocks.ipynb need real data; see notebooks/execute.py
notebooks: $(VENV)/for-test
	$(BIN)/python notebooks/execute.py

# the diagrams and figures in images/; measurements are drawn from benchmarks/results/
figures: $(VENV)/for-train
	$(BIN)/resnet50 summary --draw images
	$(BIN)/resnet50 data show rendered-signs --out images/rendered_signs.webp
	$(BIN)/python benchmarks/figures.py
	$(BIN)/python benchmarks/growth.py --draw
	$(BIN)/python benchmarks/same_network.py --draw

# the images in README: a terminal and a report; needs Chromium
screenshots: $(VENV)/for-test
	PYTHONPATH=docs $(BIN)/python -m generators.screenshots

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit(f"needed Python 3.11 to 3.13, found {sys.version.split()[0]}: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/for-train: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/for-test: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@
