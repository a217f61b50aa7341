# demo, run, test, lint, bench: each sets up what it needs on a bare machine with Python 3.11 or later, pip and make.
# If python3 is older: make PYTHON=python3.12 …
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PEERS := .peers
export PYTHON ?= python3

.PHONY: help install demo run test test-fast test-slow test-server test-peers lint bench soak screenshots pictures lock mutants clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

$(READY): requirements.lock pyproject.toml
	scripts/build-environment requirements.lock --editable

install: ## on a server: the panel into .venv, without what only tests and developers need
	scripts/build-environment requirements-run.lock

demo: $(READY) ## a panel on loopback with a stand-in IMAI; prints URL, user and password
	$(BIN)/integrations demo

run: $(READY) ## the panel on your .env and your store
	$(BIN)/integrations serve

# httpbin returns a request, so that a test sees where the key is. It needs another greenlet than Playwright, and so an
# environment of its own.
$(PEERS)/httpbin/ready: tests/peers/requirements.lock
	$(PYTHON) -m venv --without-pip --clear $(PEERS)/httpbin
	$(PYTHON) -m pip --python $(PEERS)/httpbin/bin/python install --quiet --require-hashes --only-binary :all: -r $<
	@touch $@

# Prism serves GitHub's own description of its API. It needs Node.js and half a gigabyte, so `make test` does without.
$(PEERS)/prism/ready: tests/peers/package-lock.json
	mkdir -p $(PEERS)/prism
	cp tests/peers/package.json tests/peers/package-lock.json $(PEERS)/prism
	npm ci --prefix $(PEERS)/prism --no-audit --no-fund --silent
	@touch $@

test: $(READY) $(PEERS)/httpbin/ready ## every test but those of packaging and of an empty Debian, in about four minutes
	scripts/ensure-test-tools
	$(BIN)/pytest -n auto --ignore tests/peers/test_prism.py --ignore tests/peers/test_prometheus.py --ignore tests/server --ignore tests/slow --cov --cov-report=term-missing:skip-covered

test-fast: $(READY) ## the tests that need no browser and start no panel: about a minute
	$(BIN)/pytest -n auto $(addprefix --ignore tests/,browser peers server slow attacks test_processes.py test_streamlit_run.py)

test-slow: $(READY) ## package, image, a bare machine, and the recipe for a provider in Python
	scripts/ensure-test-tools
	$(BIN)/pytest -n auto tests/slow

test-server: $(READY) ## follow docs/deploy.md on an empty Debian in a container; as root on Debian
	scripts/ensure-test-tools
	command -v systemd-nspawn >/dev/null || apt-get install -y -qq systemd-container >/dev/null
	$(BIN)/pytest tests/server

test-peers: $(READY) $(PEERS)/httpbin/ready $(PEERS)/prism/ready ## with other people's programs, such as Prometheus; needs npm
	scripts/ensure-test-tools
	$(BIN)/pytest tests/peers

lint: $(READY) ## ruff, mypy, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

screenshots: $(READY) ## every state of a card, into build/gallery
	scripts/ensure-test-tools
	$(BIN)/python scripts/screenshots.py gallery

pictures: $(READY) ## the README's pictures
	scripts/ensure-test-tools
	$(BIN)/python scripts/screenshots.py readme

bench: $(READY) ## measure the panel beside an empty page of stock Streamlit; a few minutes
	$(BIN)/python -m bench

soak: $(READY) ## thirty viewers for ten minutes, with a provider that fails every third call
	$(BIN)/python -m bench.soak

mutants: $(READY) ## change the code in small ways and list the changes that no test notices; up to an hour
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --no-build-isolation --editable '.[mutants]'
	$(BIN)/mutmut run
	$(BIN)/mutmut results

# --no-strip-extras: pip before 23.3 does not take a pin of coverage for one of coverage[toml].
PIN := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	--no-strip-extras --custom-compile-command "make lock"

lock: $(READY) ## pin the dependencies with hashes: for developers, and for a server
	$(BIN)/$(PIN) --extra dev -o requirements.lock pyproject.toml
	$(BIN)/$(PIN) --extra install --extra redis -c requirements.lock -o requirements-run.lock pyproject.toml
	$(BIN)/$(PIN) -o tests/peers/requirements.lock tests/peers/requirements.in

clean: ## remove the environments and what the tools left
	rm -rf $(VENV) .venv-* $(PEERS) build .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache mutants *.egg-info __pycache__
	find integrations tests bench scripts -name __pycache__ -prune -exec rm -rf {} +
