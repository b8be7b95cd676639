# Knows: how everything about ipvskit is set up and run, on a fresh Debian machine. Must not know: how any of it works.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
ONLY ?=
SECONDS ?= 20
KERNELS ?= 5.10,6.1,6.12,7.2
KERNEL := -m "(ipvs or ipset or conntrack) and not thorough"
THOROUGH := -m "ipvs or ipset or conntrack"
KUBE := $(wildcard tests/kernel/test_kube*.py)
SOURCES := $(wildcard csrc/*.c csrc/*.h csrc/*.cdef csrc/build_ffi.py) setup.py pyproject.toml

.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build/.packages: tests/packages.sh
	sh tests/packages.sh
	@mkdir -p build && touch $@

$(READY): build/.packages $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --upgrade pip
	$(VENV)/bin/pip install --quiet --group test --group lint --editable .
	@touch $@

setup: $(READY) ## packages, virtual environment, compiled module

demo: $(READY) ## a node with Kubernetes Services, from manifests to traffic, and a pod that goes without a lost connection
	$(RUN) -m tests.where --iptables $(RUN) -m tests.demo

test: test-here test-kernel test-kube ## all tests: here, on a kernel with IPVS, and on one with IPVS and iptables

test-here: $(READY) ## the tests that any kernel can run
	$(RUN) -m pytest tests -m "not ipvs and not thorough" -q

test-kernel: $(READY) ## the tests that need IPVS or types of sets: on this kernel if it has IPVS, else in a guest
	$(RUN) -m tests.where $(RUN) -m pytest tests/kernel $(KERNEL) --ignore-glob='*/test_kube*' --ignore-glob='*/test_cli_ipset.py' -q -p no:cacheprovider

test-kube: $(READY) ## the tests of nodes with Kubernetes Services, which need IPVS and iptables
	$(RUN) -m tests.where --iptables $(RUN) -m pytest $(KUBE) $(KERNEL) -q -p no:cacheprovider

test-kernels: $(READY) ## the same on every packaged kernel
	$(RUN) -m tests.lab each --kernels $(KERNELS) -- $(RUN) -m pytest tests/kernel $(KERNEL) -q -p no:cacheprovider

nightly: $(READY) ## every property with twenty times the examples, and the kernel tests with all of theirs
	IPVSKIT_NIGHTLY=1 $(RUN) -m pytest tests/property tests/unit -q -o timeout=7200
	sh tests/asan.sh tests/unit tests/property
	IPVSKIT_THOROUGH=1 $(RUN) -m tests.where $(RUN) -m pytest tests/kernel $(THOROUGH) -q -p no:cacheprovider -o timeout=7200

test-asan: $(READY) ## the codec's tests under AddressSanitizer and UndefinedBehaviorSanitizer
	sh tests/asan.sh

fuzz: $(READY) ## libFuzzer on every C parser, SECONDS=20 each
	sh tests/fuzz.sh $(SECONDS)

lint: $(READY) ## ruff, mypy, layers, warnings of the C compilers
	$(VENV)/bin/ruff check --output-format concise .
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	sh tests/lint_c.sh

bench: $(READY) ## speed as ratios to the wire and to peers, ONLY=pattern for some
	$(RUN) -m tests.bench $(if $(ONLY),--only '$(ONLY)')

build/.docs: $(READY)
	$(VENV)/bin/pip install --quiet --group docs
	@touch $@

docs: build/.docs ## the documentation in build/docs; warnings are errors
	$(RUN) -m sphinx -q -W --keep-going -b html docs build/docs

pictures: $(READY) ## take the pictures in docs/pictures anew, on a kernel with IPVS
	$(VENV)/bin/pip install --quiet --group pictures
	$(RUN) -m tests.where $(RUN) -m tests.pictures

wheel: $(READY) ## one abi3 wheel in dist/
	$(VENV)/bin/pip wheel --quiet --no-deps --wheel-dir dist .
	sh tests/check_wheel.sh

clean: ## remove what was built, the virtual environment too
	rm -rf build dist $(VENV) *.egg-info ipvskit/_core*.so ipvskit/_core.c

.PHONY: help setup demo test test-here test-kernel test-kube test-kernels nightly test-asan fuzz lint bench docs pictures wheel clean
