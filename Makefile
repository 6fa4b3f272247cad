# fastha. `make` alone prints this help.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check -q

# What the build, the tests and the laboratory need from Debian. Missing ones are installed as root.
APT := gcc make python3-dev python3-venv libssl-dev iproute2 kmod procps nftables libnftables1 ipvsadm \
       keepalived tshark nginx-light curl clang-format

.DEFAULT_GOAL := help
.PHONY: help setup run test check format bench clean distclean

help: ## this text
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

setup: $(VENV)/.built ## install everything: system packages, virtual environment, compiled extensions

$(VENV)/.apt: Makefile
	@missing=; for p in $(APT); do dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing:$$missing"; apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null || exit 1; \
	  else echo "missing packages (install them, or run as root):$$missing"; fi; \
	fi
	@mkdir -p $(VENV) && touch $@

$(VENV)/.deps: pyproject.toml $(VENV)/.apt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Python packages"
	@$(PIP) install 'setuptools>=65' wheel 'Cython>=3.0' 'cffi>=1.15' \
	  $$($(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; o = p["optional-dependencies"]; print(*("\x27%s\x27" % d for d in p["dependencies"] + o["test"] + o["check"]))' | tr -d "'")
	@touch $@

NATIVE := $(shell find src csrc -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' -o -name '*_build.py')

$(VENV)/.built: $(VENV)/.deps setup.py $(NATIVE)
	@echo "compiling"
	@$(PIP) install --no-build-isolation --no-deps -e . 
	@touch $@

run: setup ## the laboratory: failover through a client's eyes (KEEP=1: stay up; CONF=file: the daemon itself)
	@$(BIN)/fastha $(if $(CONF),run -f $(CONF),lab $(if $(KEEP),--keep))

test: setup ## every test (as root; without root or a tool, tests skip and say why)
	@$(BIN)/python -m pytest $(ARGS)

check: setup ## format, lint and types
	@$(BIN)/ruff format --check -q . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PATH=$(BIN):$$PATH $(BIN)/cython-lint $$(git ls-files '*.pyx' '*.pxd')
	@files="$$(git ls-files 'csrc/*.[ch]' 'tests/c/*.[ch]')"; [ -z "$$files" ] || clang-format --dry-run -Werror $$files

format: setup ## put every file into shape
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .
	@files="$$(git ls-files 'csrc/*.[ch]' 'tests/c/*.[ch]')"; [ -z "$$files" ] || clang-format -i $$files

bench: setup ## timed micro-benchmarks, each beside its pure-Python twin
	@$(BIN)/python -m pytest bench --benchmark-enable --benchmark-only --benchmark-disable-gc --benchmark-group-by=group $(ARGS)

clean: ## remove what the build made
	rm -rf build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
	find src -name '*.so' -delete -o -name __pycache__ -prune -exec rm -rf {} +
	rm -f $(VENV)/.built

distclean: clean ## also remove the virtual environment
	rm -rf $(VENV)
