# `make test` and `make demo` set up everything they need on a fresh machine with Python 3.10 or newer.
PYTHON ?= python3
VENV := .venv
DEVICE_VENV := .venv-device
DOCS_VENV := .venv-docs
RELEASE_VENV := .venv-release
MUTATION_VENV := .venv-mutation
NATIVE := setup.py $(wildcard edgekit/runtime/native/*.[ch])
PIP_FLAGS := --disable-pip-version-check -q

# Tests start hundreds of processes. Without stored bytecode each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: test coverage mutation demo lint audit smoke docs release wheel arm container vm sanitize install clean packages

# One thread per test process, because processes that all use all cores slow each other down. There
# are three processes more than most test machines have cores, because many tests wait for streams or
# other processes. Each process begins with its part of the tests in file order, so that the fixtures
# of a module are mostly made only once.
test coverage: PACKAGES := test
test coverage: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 5 --dist worksteal $(COVERAGE)

# All tests with a measurement of their coverage, which takes 1.5 times as long.
coverage: COVERAGE := --cov --cov-report=term --cov-report=xml

# Tests the tests by faults: docs/mutation.md. This takes hours. ROOMS="metrics linking" selects folders,
# FLAGS="--sample 200" the number of faults in each.
mutation: $(VENV)/.installed $(MUTATION_VENV)/.installed
	nice -n 15 $(MUTATION_VENV)/bin/python -m tests.mutation --python $(VENV)/bin/python $(FLAGS) $(ROOMS)

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Looks for committed secrets and for packages with known vulnerabilities. Names and passwords in
# addresses are examples in texts and tests. Vulnerable packages are reported but do not fail the
# target, because most changes do not cause them.
audit: $(VENV)/.installed
	git ls-files -z | xargs -0 $(VENV)/bin/detect-secrets-hook --disable-plugin BasicAuthDetector \
		--disable-plugin KeywordDetector --disable-plugin HexHighEntropyString \
		--disable-plugin Base64HighEntropyString
	-$(VENV)/bin/pip-audit --skip-editable --progress-spinner off

# Tests what is installed on a device: the wheel and its runtime dependencies, without torch.
smoke: $(DEVICE_VENV)/.installed
	$(DEVICE_VENV)/bin/python tests/smoke.py

# Builds the site of docs/ in build/site, without network. Warnings are errors.
docs: $(DOCS_VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/python -m mkdocs build --strict

demo: $(DEVICE_VENV)/.installed
	$(DEVICE_VENV)/bin/edgekit demo --force

# Makes a release in dist/ and checks it: docs/releasing.md. KEY is the SSH key that signs it. REHEARSAL=1
# accepts changes that are not released yet. FLAGS are further options of `python -m release`.
release: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
release: PACKAGES := release
release: $(RELEASE_VENV)/.installed docs
	$(RELEASE_VENV)/bin/python -m release --docs build/site $(if $(KEY),--key $(KEY)) \
		$(if $(REHEARSAL),--rehearsal) $(FLAGS)

# Builds one wheel of the checkout as it is, in dist/. ARCH is x86_64, aarch64, or any for one without
# compiled kernels.
ARCH := any
wheel: PACKAGES := release
wheel: $(RELEASE_VENV)/.installed
	$(RELEASE_VENV)/bin/python -m release.wheels $(ARCH) -o dist

# Tests the device side on emulated arm64. This needs root, a network and some minutes.
arm: $(VENV)/.installed
	tests/arm/run.sh

# Builds and runs the container image: docs/container.md. This needs root, a network and some minutes.
container: $(VENV)/.installed
	ARCH=$(if $(filter any,$(ARCH)),,$(ARCH)) tests/container/run.sh

# Tests cameras, systemd, power cuts and arm64 in virtual machines, and writes docs/virtual-machines.md.
# This needs root, a network, 12 GB in /var/tmp and an hour. VM="-k usb" selects tests.
vm: $(VENV)/.installed
	EDGEKIT_VM=1 OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest tests/vm -v \
		-n 2 --dist loadfile --no-loadscope-reorder $(VM)
	$(VENV)/bin/python -m tests.vm.report

# Tests the compiled kernels under the sanitizers of the C compiler, without Python.
sanitize:
	tests/native/sanitize.sh

install: $(VENV)/.installed

# Installs missing Debian packages: those for an environment, and for "make test" also those that tests start.
PACKAGES := build
packages:
	@PYTHON=$(PYTHON) tests/packages.sh $(PACKAGES)

# torch is installed first, in the pinned version, because as a dependency it installs gigabytes of CUDA.
$(VENV)/.installed: pyproject.toml constraints.txt $(NATIVE) | packages
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip uninstall $(PIP_FLAGS) -y edgekit 2>/dev/null  # its earlier name
	$(VENV)/bin/pip install $(PIP_FLAGS) -c constraints.txt torch
	$(VENV)/bin/pip install $(PIP_FLAGS) -c constraints.txt -e ".[all,dev]"
	touch $@

$(DEVICE_VENV)/.installed: pyproject.toml constraints.txt $(NATIVE) $(shell find edgekit targets calibration quantization benchmarks -name '*.py' -o -path '*assets*' -type f -o -path '*static*' -type f) | packages
	$(PYTHON) -m venv $(DEVICE_VENV)
	$(DEVICE_VENV)/bin/pip uninstall $(PIP_FLAGS) -y edgekit 2>/dev/null  # its earlier name
	$(DEVICE_VENV)/bin/pip install $(PIP_FLAGS) -c constraints.txt .
	touch $@

# Each installs only the tools of one extra. The pages are made from the sources in the checkout, which
# Python finds in the current folder; what is released gets environments of its own, and the tests of
# "make mutation" run in the usual one.
$(DOCS_VENV)/.installed: EXTRA := docs
$(RELEASE_VENV)/.installed: EXTRA := release
$(MUTATION_VENV)/.installed: EXTRA := mutation
$(DOCS_VENV)/.installed $(RELEASE_VENV)/.installed $(MUTATION_VENV)/.installed: pyproject.toml constraints.txt | packages
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install $(PIP_FLAGS) -c constraints.txt $$(sed -n 's/^$(EXTRA) = \[\(.*\)\]$$/\1/p' pyproject.toml | tr -d ',"')
	touch $@

clean:
	rm -rf $(VENV) $(DEVICE_VENV) $(DOCS_VENV) $(RELEASE_VENV) $(MUTATION_VENV) build dist *.egg-info .coverage* coverage.xml edgekit/runtime/native/_kernels.so
