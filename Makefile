# fastha. `make` alone prints this help.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check -q

# What the daemon and the laboratory need from Debian, and what the tests need besides.
APT := gcc make python3-dev python3-venv libssl-dev iproute2 kmod procps libnftables1 nftables libpcre2-8-0
APT_TEST := ipvsadm keepalived tshark tcpdump nginx-light curl clang-format frr clang libclang-rt-14-dev nsd \
  exim4-daemon-light openssl mandoc man-db systemd zsh fish prometheus chromium chromium-driver
PIP_BUILD := setuptools>=65 wheel Cython>=3.0 cffi>=1.15

# $(call apt,PACKAGES): install the missing ones as root, without starting their services; say so otherwise.
define apt
missing=; for p in $(1); do dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || missing="$$missing $$p"; done; \
if [ -z "$$missing" ]; then :; \
elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
  echo "installing:$$missing"; \
  policy=/usr/sbin/policy-rc.d; \
  [ -e $$policy ] || { printf '#!/bin/sh\nexit 101\n' >$$policy && chmod +x $$policy && trap "rm -f $$policy" EXIT; }; \
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing; } >$(VENV)/apt.log 2>&1 \
    || { tail -n 20 $(VENV)/apt.log; exit 1; }; \
else echo "missing packages (install them, or run as root):$$missing"; fi
endef

# $(call requirements,EXTRAS): what pyproject.toml asks for.
requirements = $$($(BIN)/python -c 'import sys, tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
  print(*p["dependencies"], *(d for e in sys.argv[1:] for d in p["optional-dependencies"][e]))' $(1))

.DEFAULT_GOAL := help
.PHONY: wheel deb help setup setup-test run test test-chaos campaign fuzz fuzz-config check format man bench bench-peers-ipvs bench-peers-vrrp
.PHONY: bench-peers-checks bench-peers-config bench-peers-reload soak-checks clean distclean

help: ## this text
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

setup: $(VENV)/.built ## install what the daemon needs: system packages, virtual environment, compiled extensions

setup-test: $(VENV)/.built $(VENV)/.test ## the same, and what the tests need

$(VENV)/.apt: Makefile
	@mkdir -p $(VENV); $(call apt,$(APT))
	@touch $@

$(VENV)/.deps: pyproject.toml $(VENV)/.apt
	@test -x $(BIN)/python || { $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fastha needs Python 3.11 or newer")' && $(PYTHON) -m venv $(VENV); }
	@echo "installing Python packages"
	@set -f; $(PIP) install $(foreach r,$(PIP_BUILD),'$(r)') $(call requirements)
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.deps
	@$(call apt,$(APT_TEST))
	@echo "installing test packages"
	@set -f; $(PIP) install $(call requirements,test check)
	@set -f; $(PIP) install $(call requirements,fuzz) || echo "no atheris for this Python: fuzzing will be skipped"
	@touch $@

NATIVE := $(shell find src csrc -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' -o -name '*_build.py')

$(VENV)/.built: $(VENV)/.deps setup.py $(NATIVE)
	@echo "compiling"
	@$(PIP) install --no-build-isolation --no-deps -e . 
	@touch $@

run: setup ## the laboratory: failover through a client's eyes (KEEP=1: stay up; CONF=file: the daemon itself)
	@$(BIN)/fastha $(if $(CONF),run -f $(CONF),lab $(if $(KEEP),--keep))

test: setup-test ## every test, in two processes (as root; without root or a tool, tests skip and say why); ARGS="-k x": in one
	@$(BIN)/python -m pytest $(or $(ARGS),-n 2)

test-chaos: setup-test ## 200 rounds of ruining the tables of IPVS and nft under a live checker (make test: 24, 16)
	@FASTHA_CHAOS_ROUNDS=$${FASTHA_CHAOS_ROUNDS:-200} $(BIN)/python -m pytest tests/vm/test_chaos_in_guest.py tests/netns/test_nft_chaos.py $(ARGS)

campaign: setup-test ## what takes long or wants a quiet machine, and is not part of make test
	@$(BIN)/python -m pytest -m campaign $(ARGS)

fuzz: setup-test ## coverage-guided fuzzing of what reads the wire, 24 million inputs (ARGS="bfd --seconds 600")
	@$(BIN)/python tests/fuzz/wire/run.py $(ARGS)

FUZZ_S ?= 60
fuzz-config: setup-test ## coverage-guided fuzzing of the configuration reader for FUZZ_S seconds (60); its corpus stays in build/fuzz
	@mkdir -p build/fuzz/corpus && cp tests/golden/config/*.conf build/fuzz/corpus
	@$(BIN)/python tests/fuzz/config_reader.py -max_total_time=$(FUZZ_S) -max_len=4096 -artifact_prefix=build/fuzz/ build/fuzz/corpus

check: setup-test ## format, lint and types
	@$(BIN)/ruff format --check -q . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PATH="$(abspath $(BIN)):$$PATH" cython-lint $$(git ls-files '*.pyx' '*.pxd')
	@files="$$(git ls-files '*.[ch]')"; [ -z "$$files" ] || clang-format --dry-run -Werror $$files

wheel: setup ## a wheel, into dist/: installs and runs in an empty virtual environment
	@$(PIP) wheel -q --no-deps --no-build-isolation -w dist . && ls dist/*.whl

DEB_PYTHON ?= /usr/bin/python3
DEB := build/deb-venv
deb: man ## a Debian package, into dist/: for Debian's own Python, with man pages, completion and units
	@test -x $(DEB)/bin/pip || $(DEB_PYTHON) -m venv $(DEB)
	@set -f; $(DEB)/bin/pip --disable-pip-version-check install -q $(foreach r,$(PIP_BUILD),'$(r)')
	@rm -rf $(DEB)/wheel && $(DEB)/bin/pip --disable-pip-version-check wheel -q --no-deps --no-build-isolation -w $(DEB)/wheel .
	@$(DEB)/bin/python packaging/deb/build.py $(DEB)/wheel/*.whl dist

man: setup ## the manual pages, into build/man
	@$(BIN)/python -m fastha.cli.manual build/man

format: setup-test ## put every file into shape
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .
	@files="$$(git ls-files '*.[ch]')"; [ -z "$$files" ] || clang-format -i $$files

bench: setup-test ## timed micro-benchmarks, each beside its pure-Python twin
	@$(BIN)/python -m pytest bench --benchmark-enable --benchmark-only --benchmark-disable-gc --benchmark-group-by=group $(ARGS)

bench-peers-ipvs: setup-test ## IPVS in a virtual machine: ours beside a C program, ipvsadm and keepalived, in ratios (ARGS="-n 1000")
	@$(BIN)/python bench/peers/ipvs/run.py $(ARGS)

bench-peers-vrrp: setup-test ## thousands of VRRP instances and addresses beside keepalived: CPU time, takeover, gaps, memory (ARGS="--rounds 1")
	@$(BIN)/python bench/peers/vrrp/run.py $(ARGS)

bench-peers-reload: setup-test ## what a reload of 37 205 real servers costs and disturbs, with real processes and turn by turn
	@$(BIN)/python bench/peers/config/reload_turns.py
	@$(BIN)/python bench/peers/config/run_reload.py $(ARGS)

bench-peers-checks: setup-test ## health checks beside a C program of the bare system calls: CPU time, lateness, memory (ARGS="--rounds 3 -n 0")
	@$(BIN)/python bench/peers/checks/run.py $(ARGS)

bench-peers-config: setup-test ## reading a configuration beside keepalived -t: time, growth, memory, in ratios (ARGS="-n 1000 --rounds 3")
	@$(BIN)/python bench/peers/config/run_reading.py $(ARGS)

soak-checks: setup-test ## ten minutes of checks of 5000 servers that come and go: descriptors, memory and timers stay flat (SOAK_S=60)
	@FASTHA_SOAK_S=$${SOAK_S:-600} FASTHA_SOAK_SERVERS=5000 $(BIN)/python -m pytest -s tests/netns/test_checker_soak.py $(ARGS)

clean: ## remove what the build made
	rm -rf build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
	find src -name '*.so' -delete -o -name __pycache__ -prune -exec rm -rf {} +
	rm -f $(VENV)/.built

distclean: clean ## also remove the virtual environment
	rm -rf $(VENV)
