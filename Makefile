# `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
HIL := build/hil
RIVAL := build/rival
RUN := $(VENV)/bin/python
export PAVE_MAKE_STARTED_S := $(shell date +%s)

.PHONY: help demo test test-long lint types format fuzz crash bench lock clean servers

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.demo  ## Run the Bercy site, emulated, into a city's MQTT broker; FOR=30 ends after 30 s with a count
	@$(RUN) -m simulation $(if $(FOR),--for $(FOR)) $(DEMO)

test: $(VENV)/.dev $(HIL)/.hil servers lint types  ## Everything that must pass before a commit lands, long campaigns apart
	@$(RUN) -m pytest -n 2 --dist loadfile -m "not long and not alone"
	@$(RUN) -m pytest -m "alone and not long"

test-long: $(VENV)/.dev $(HIL)/.hil servers  ## The long campaigns
	@$(RUN) -m pytest -m long

lint: $(VENV)/.dev  ## Format and lint, and whether generated files are current
	@$(VENV)/bin/ruff format --check -q . && $(VENV)/bin/ruff check -q .
	@$(RUN) -m pave_tools.pins --check && $(RUN) -m pave_tools.wire_md --check

types: $(VENV)/.dev  ## Type-check the gateway and the wire (strict), the tools, the simulation; the firmware against the ESP32's stubs
	@$(VENV)/bin/basedpyright
	@$(VENV)/bin/basedpyright -p firmware/pyrightconfig.json --typeshedpath "$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

format: $(VENV)/.dev  ## Put the code into shape
	@$(VENV)/bin/ruff check -q --fix . ; $(VENV)/bin/ruff format .
	@$(RUN) -m pave_tools.pins && $(RUN) -m pave_tools.wire_md && $(RUN) -m pave_tools.fonts

fuzz: $(VENV)/.dev  ## Fuzz every decoder for FOR seconds (60)
	@$(RUN) -m fuzz --for $(or $(FOR),60)

crash: $(VENV)/.dev  ## Kill the journal's writer and cut its power at every point, for a million acknowledged readings: 20 minutes
	@$(RUN) -m simulation.crash

bench: $(VENV)/.dev $(RIVAL)/.rival servers  ## Every figure of the README
	@for name in benchmarks/[a-z]*.py; do $(RUN) -m benchmarks.$$(basename $$name .py) || exit 1; done

lock: $(VENV)/.dev  ## Lock the dependencies of pyproject.toml anew
	@tools/lock.sh $(VENV)/bin/uv

clean:  ## Remove what was built and stored, the virtual environment too
	@rm -rf $(VENV) build dist var .pytest_cache .ruff_cache .hypothesis

servers:
	@tools/servers.sh

$(VENV)/.demo: requirements/demo.txt pyproject.toml
	@tools/venv.sh "$(PYTHON)" $(VENV) demo

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	@tools/venv.sh "$(PYTHON)" $(VENV) dev
	@touch $(VENV)/.demo

$(HIL)/.hil: requirements/hil.txt
	@tools/venv.sh "$(PYTHON)" $(HIL) hil

$(RIVAL)/.rival: requirements/rival.txt
	@tools/venv.sh "$(PYTHON)" $(RIVAL) rival
