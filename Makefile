# Two commands do everything on a fresh machine with Python 3.11 or 3.12: `make demo` and `make test`.
# The first that really runs: a version manager may leave names on the path that do not.
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench chaos mirror screenshots clean

help: ## Show the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 13

demo: $(VENV)/run.stamp ## Set up, then train, evaluate and compare on the examples with a real stack.
	@$(BIN)/python examples/demo.py

test: $(VENV)/dev.stamp ## Set up, then run the tests.
	@$(BIN)/pytest -q -n 4 --dist worksteal

lint: $(VENV)/dev.stamp ## Check style, types and walls.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/unit/test_architecture.py

bench: $(VENV)/bench.stamp ## Measure what we claim about speed and quality, beside what people would use instead.
	@$(BIN)/python benchmarks/words_to_run.py
	@$(BIN)/python benchmarks/ack.py
	@$(BIN)/python benchmarks/reading.py
	@$(BIN)/python benchmarks/training_speed.py
	@$(BIN)/python benchmarks/gpu.py
	@$(BIN)/python benchmarks/run_queue.py
	@$(BIN)/python benchmarks/log_size.py
	@$(BIN)/python benchmarks/pages_speed.py
	@$(BIN)/python benchmarks/significance.py
	@$(BIN)/python benchmarks/quality.py

chaos: $(VENV)/dev.stamp ## Break log, disk, clock and the bot; then workers, Redis and the bot under 200 runs: about half an hour.
	@$(BIN)/pytest -q -n 2 -m chaos tests/integration tests/e2e
	@PYTHONPATH=tests $(BIN)/python -m chaos

mirror: $(VENV)/mlflow.stamp ## Start a real MLflow server and see that it has what we told it, and gives the model back.
	@$(BIN)/pytest -q -m mlflow tests/integration

screenshots: $(VENV)/dev.stamp ## Make the pictures of docs/images/slack_*.png from real runs, in a browser.
	@PYTHONPATH=tests $(BIN)/python -m support.slack_pictures

clean: ## Remove the set-up.
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "LML needs Python 3.11 or newer on the path, and finds none."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python cannot make a venv here; on Debian: apt install python3-venv"; exit 1; }

# One install for both stamps would be slower to start with: the demo needs no test tools.
$(VENV)/run.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bot,worker]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp tests/support/install_emulator.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bot,worker,dev]'
	$(BIN)/python tests/support/install_emulator.py
	@# The pages are looked at in a real browser. Without the right to install one those tests are skipped, and say so.
	@command -v chromium > /dev/null || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y chromium > /dev/null; } || \
		echo "No Chromium: the tests of pages in a browser are skipped (apt install chromium)."
	@touch $@

$(VENV)/bench.stamp: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bot,worker,dev,bench]'
	@touch $@

# Of its own, for MLflow brings some 800 MB that nothing of ours needs.
$(VENV)/mlflow.stamp: $(VENV)/dev.stamp constraints-mlflow.txt
	$(BIN)/python -m venv $(VENV)/mlflow
	$(VENV)/mlflow/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-mlflow.txt mlflow onnx onnxruntime
	@touch $@
