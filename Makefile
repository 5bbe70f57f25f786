# Needs Python >= 3.11 and make. Everything else is installed from the hashed lists in requirements/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
# Scenarios wait for processes more than they work, so one more than there are cores; each has a control plane of its own.
WORKERS ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 2) + 1)))
AWS_VENV := .venv-aws
AWS_STAMP := $(AWS_VENV)/.synced
MOTO_VENV := .venv-moto
MOTO_STAMP := $(MOTO_VENV)/.synced
WORKFLOWS_VENV := .venv-workflows
WORKFLOWS_STAMP := $(WORKFLOWS_VENV)/.synced
# What `make test-image` needs root for: mounts that are read-only, and a user that owns nothing.
SUDO ?=
RIGHTS := $(CURDIR)/.rights
export UV_LINK_MODE ?= copy
# Hundreds of processes run in the tests: where the environment forbids compiled modules, each would compile all anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-extended test-every-registry test-sdks test-coredns test-rights test-image test-alerts servers bench bench-large lint lint-workflows changelog format lock lock-check render render-check binaries helm clean

help: ## show these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(STAMP) ## make the environment; the command then stands at .venv/bin/kube-registrar

# Reproducible: uv by hash, the locked list by hash, then the project alone with the locked build backend.
$(STAMP): requirements/uv.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kube-registrar needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(AWS_STAMP): requirements/awscli.txt $(STAMP)
	test -x $(AWS_VENV)/bin/python || $(PYTHON) -m venv --without-pip $(AWS_VENV)
	$(BIN)/uv pip sync --quiet --python $(AWS_VENV)/bin/python --require-hashes requirements/awscli.txt
	@touch $@

$(MOTO_STAMP): requirements/moto.txt $(STAMP)
	test -x $(MOTO_VENV)/bin/python || $(PYTHON) -m venv --without-pip $(MOTO_VENV)
	$(BIN)/uv pip sync --quiet --python $(MOTO_VENV)/bin/python --require-hashes requirements/moto.txt
	@touch $@

$(WORKFLOWS_STAMP): requirements/workflows.txt $(STAMP)
	test -x $(WORKFLOWS_VENV)/bin/python || $(PYTHON) -m venv --without-pip $(WORKFLOWS_VENV)
	$(BIN)/uv pip sync --quiet --python $(WORKFLOWS_VENV)/bin/python --require-hashes requirements/workflows.txt
	@touch $@

binaries: $(STAMP) ## build the control plane of the test ground (first time: about ten minutes)
	$(BIN)/python -m kube_registrar.testing build

helm: $(STAMP) ## build helm, which the chart is rendered and tested with (first time: some minutes)
	$(BIN)/python -m kube_registrar.testing build helm

demo: $(STAMP) binaries ## see it work on a control plane of this machine
	$(BIN)/kube-registrar demo $(ARGS)

test: $(STAMP) $(AWS_STAMP) $(MOTO_STAMP) binaries helm ## run the tests (ARGS=... as pytest takes them; WORKERS=0: in one process)
	$(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder -m "not extended and not every_registry" $(ARGS)

test-extended: $(STAMP) $(AWS_STAMP) binaries helm ## run what takes longer: Consul, etcd, plugins, troubled registries (see `make servers`)
	$(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder -m extended $(ARGS)

test-every-registry: servers binaries ## run one set of scenarios, unchanged, over every kind of registry
	$(BIN)/pytest -m every_registry tests/scenarios/test_every_registry.py $(ARGS)

test-sdks: $(STAMP) ## try the AWS SDKs for Go, Java, JavaScript and Python as they are, with the toolchains that are there
	$(BIN)/pytest -rs tests/sdks/check_sdks.py $(ARGS)

servers: $(STAMP) ## build Consul and CoreDNS, which registries are tested with (first time: ten minutes each)
	$(BIN)/python -m kube_registrar.testing build consul coredns

test-coredns: servers ## try DNS behind a real CoreDNS, and etcd as it reads it
	$(BIN)/pytest tests/server/dns/coredns.py tests/server/dns/coredns_etcd.py $(ARGS)

test-image: $(STAMP) binaries helm ## try what the image adds to its base: size, contents, both commands as another user with nothing writable
	$(SUDO) $(BIN)/pytest -rs tests/image/check_image.py $(ARGS)

test-alerts: $(STAMP) helm ## try each alert in Prometheus' own judgement; promtool is built first (a quarter of an hour, once)
	$(BIN)/python -m kube_registrar.testing build promtool
	$(BIN)/pytest tests/chart/check_alerts.py $(ARGS)

test-rights: $(STAMP) binaries helm ## run all scenarios as the ServiceAccount that the chart renders, and audit what it used
	rm -rf $(RIGHTS)
	KUBE_REGISTRAR_RIGHTS=$(RIGHTS) $(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder $(or $(ARGS),tests/scenarios)
	$(BIN)/python -m tests.rights.suite $(RIGHTS)

bench: $(STAMP) binaries ## the short half of what docs/benchmarks.md promises, ten minutes; exit 1 if a bar is missed
	$(BIN)/python -m bench.all short

bench-large: $(STAMP) binaries ## the long half: 10,000 pods, outages, holds, ten idle minutes; forty minutes
	$(BIN)/python -m bench.all long

lint: $(STAMP) lock-check ## formatter, linter, types, layers, locks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint-workflows: $(STAMP) $(WORKFLOWS_STAMP) ## zizmor and actionlint for the workflows, hadolint for the Dockerfile
	$(WORKFLOWS_VENV)/bin/zizmor --offline --quiet .
	"$$($(BIN)/python -m kube_registrar.testing build actionlint | sed 's/^actionlint: //')" -shellcheck= -pyflakes=
	$(WORKFLOWS_VENV)/bin/hadolint Dockerfile

changelog: $(STAMP) ## make CHANGELOG.md's section of the version in pyproject.toml out of changelog.d/, for a release
	$(BIN)/towncrier build --yes --version "$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)"

format: $(STAMP) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

lock: ## renew the hashed lists in requirements/ (UPGRADE=1 takes newer versions)
	$(BIN)/python tools/lock.py $(if $(UPGRADE),--upgrade)

lock-check: $(STAMP) ## prove that requirements/ matches pyproject.toml
	$(BIN)/python tools/lock.py --check

render: helm ## write what is made from code, the chart and crds/: crds/, deploy/, policies, reference pages, the chart's CRDs
	$(BIN)/python tools/render_admission.py
	$(BIN)/python tools/render_crds.py
	$(BIN)/python tools/render_reference.py
	$(BIN)/python tools/render_deploy.py
	$(BIN)/python tools/values_reference.py

render-check: helm ## prove that it is what they make
	$(BIN)/python tools/render_admission.py --check
	$(BIN)/python tools/render_crds.py --check
	$(BIN)/python tools/render_reference.py --check
	$(BIN)/python tools/render_deploy.py --check
	$(BIN)/python tools/values_reference.py --check

clean: ## remove the environments
	rm -rf $(VENV) $(AWS_VENV) $(MOTO_VENV) $(WORKFLOWS_VENV)
