# `make test` and `make demo` do all their own set-up on a fresh machine with Python 3.10 or newer.
PYTHON ?= python3
VENV := .venv
DEVICE_VENV := .venv-device
DOCS_VENV := .venv-docs
NATIVE := setup.py $(wildcard edgekit/runtime/native/*.[ch])
PIP_FLAGS := --disable-pip-version-check -q

.PHONY: test coverage demo lint audit smoke docs arm sanitize install clean packages

# One thread each: test processes that all take all cores wait for each other. One more of them than
# most test machines have cores, as some tests wait for a stream or for what another process makes.
# Each begins with a third of the tests as they stand in the files, so that what a module shares is
# mostly made once.
test coverage: PACKAGES := test
test coverage: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 3 --dist worksteal $(COVERAGE)

# The same tests, and how much of the code they run: following each line takes more than half as
# long again.
coverage: COVERAGE := --cov --cov-report=term --cov-report=xml

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Secrets that were committed, and packages with known faults. Names and passwords in addresses are
# examples in texts and tests. A fault of a package that is published today is told, and fails no
# change that did not bring it.
audit: $(VENV)/.installed
	git ls-files -z | xargs -0 $(VENV)/bin/detect-secrets-hook --disable-plugin BasicAuthDetector \
		--disable-plugin KeywordDetector --disable-plugin HexHighEntropyString \
		--disable-plugin Base64HighEntropyString
	-$(VENV)/bin/pip-audit --skip-editable --progress-spinner off

# What a device gets: the wheel and its runtime dependencies, without torch.
smoke: $(DEVICE_VENV)/.installed
	$(DEVICE_VENV)/bin/python tests/smoke.py

# The site of docs/ in build/site; warnings are errors. It fetches nothing.
docs: $(DOCS_VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/python -m mkdocs build --strict

demo: $(DEVICE_VENV)/.installed
	$(DEVICE_VENV)/bin/edgekit demo --force

# The device side on emulated arm64; as root, minutes, with a network.
arm: $(VENV)/.installed
	tests/arm/run.sh

# The compiled kernels under the sanitizers of the C compiler; needs no Python.
sanitize:
	tests/native/sanitize.sh

install: $(VENV)/.installed

# What Debian has and this machine lacks: to make an environment, and for "make test" all that tests start.
PACKAGES := build
packages:
	@PYTHON=$(PYTHON) tests/packages.sh $(PACKAGES)

# torch comes first and pinned: anything that pulls it in by itself takes gigabytes of CUDA.
$(VENV)/.installed: pyproject.toml constraints.txt $(NATIVE) | packages
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip uninstall $(PIP_FLAGS) -y edgekit 2>/dev/null  # its earlier name
	$(VENV)/bin/pip install $(PIP_FLAGS) -c constraints.txt torch
	$(VENV)/bin/pip install $(PIP_FLAGS) -c constraints.txt -e ".[all,dev]"
	touch $@

$(DEVICE_VENV)/.installed: pyproject.toml constraints.txt $(NATIVE) $(shell find edgekit targets calibration quantization benchmarks -name '*.py' -o -path '*assets*' -type f) | packages
	$(PYTHON) -m venv $(DEVICE_VENV)
	$(DEVICE_VENV)/bin/pip uninstall $(PIP_FLAGS) -y edgekit 2>/dev/null  # its earlier name
	$(DEVICE_VENV)/bin/pip install $(PIP_FLAGS) -c constraints.txt .
	touch $@

# Only the tools of the extra "docs", a third of what it has with the device side: the pages are made
# from the checkout's own sources, which Python finds in the current folder.
DOCS_TOOLS := $(shell sed -n 's/^docs = \[\(.*\)\]$$/\1/p' pyproject.toml | tr -d ,)
$(DOCS_VENV)/.installed: pyproject.toml constraints.txt | packages
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/pip install $(PIP_FLAGS) -c constraints.txt $(DOCS_TOOLS)
	touch $@

clean:
	rm -rf $(VENV) $(DEVICE_VENV) $(DOCS_VENV) build *.egg-info .coverage coverage.xml edgekit/runtime/native/_kernels.so
