# `make demo` shows the product, `make test` proves it. Both need Python 3.11 or newer, and nothing else.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test bench lint format messages lock lambda deploy remove clean setup setup-dev setup-aws

demo: setup
	@$(BIN)/python manage.py demo

test: setup-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# All of them take an hour on two cores; one alone: .venv/bin/python -m bench.remux
bench: setup-dev
	for name in remux hevc frontier overhead parallel; do $(BIN)/python -m bench.$$name || exit; done

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --lint --quiet templates
	$(BIN)/python manage.py makemigrations --check --dry-run

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Collects what is to be translated into locale/, and compiles it.
messages: setup-dev
	$(BIN)/python manage.py update_messages

lock: setup-dev
	cd requirements && for name in base dev lambda aws; do ../$(BIN)/uv pip compile --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --upgrade \
	  $$name.in -o $$name.txt || exit 1; done

setup: .venv/base
setup-dev: .venv/dev
setup-aws: .venv/aws/done

.venv/pyvenv.cfg:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/base: .venv/pyvenv.cfg requirements/base.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.txt
	@touch $@

.venv/dev: .venv/pyvenv.cfg requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@ .venv/base

# In an environment of its own: AWS's tools pin what the product pins otherwise.
.venv/aws/done: .venv/dev requirements/aws.txt
	$(PYTHON) -m venv .venv/aws
	$(BIN)/uv pip install --quiet --python .venv/aws/bin/python --require-hashes -r requirements/aws.txt
	@touch $@

# What deploy/aws/template.yaml deploys: two zips, whose sizes it prints. The same input gives the same bytes.
lambda: setup-dev
	$(BIN)/python deploy/aws/build.py build/lambda

STACK ?= clinic-video
SAM := .venv/aws/bin/sam
deploy: lambda setup-aws
	$(SAM) deploy --template deploy/aws/template.yaml --stack-name $(STACK) --resolve-s3 \
	  --capabilities CAPABILITY_IAM $(if $(PARAMETERS),--parameter-overrides $(PARAMETERS))

# The bucket stays, with every video in it.
remove: setup-aws
	$(SAM) delete --stack-name $(STACK)

clean:
	rm -rf .venv var build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
