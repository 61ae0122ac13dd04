# Commands of this repository. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON_IN := .venv/bin/python

# Each module named here writes one or more pages of docs/.
GENERATORS := tools.import_graph tools.settings_page tools.commands_page tools.endpoints_page tools.specs_page tools.openid_page tools.errors_page

.PHONY: help setup run test test-pg test-clients lint types docs translations bench migrate check lock

help: ## list these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## make or refresh the virtual environment .venv from the lock
	@sh tools/bootstrap.sh

run: setup ## authorization server, resource server and web application, with demonstration data
	@exec .venv/bin/authserver demo

test: setup ## the whole suite
	@exec $(PYTHON_IN) -m pytest

test-pg: setup ## the whole suite again, with PostgreSQL under every store
	@exec $(PYTHON_IN) -m pytest --database=postgresql

test-clients: setup ## only the tests that drive other people's clients
	@exec $(PYTHON_IN) -m pytest -m clients

lint: setup ## style: ruff, all rules
	@$(PYTHON_IN) -m ruff check .
	@$(PYTHON_IN) -m ruff format --check .

types: setup ## mypy --strict
	@$(PYTHON_IN) -m mypy

docs: setup ## write the generated pages anew
	@set -e; for module in $(GENERATORS); do $(PYTHON_IN) -m $$module; done

translations: setup ## bring the catalogues of the pages' languages up to the sources
	@exec $(PYTHON_IN) -m tools.translations

bench: setup ## the benchmarks, against the stored baseline
	@exec $(PYTHON_IN) -m benchmarks

migrate: setup ## bring the database of AUTHSERVER_DATABASE_URL to the newest schema
	@exec .venv/bin/authserver db upgrade

check: lint types test ## what a change must pass

lock: setup ## resolve the dependencies anew and write locks/
	@exec sh tools/lock.sh
