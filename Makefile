# `make up` brings a management plane up, `make test` runs every check. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PROVIDER ?= embedded
CLUSTER  ?= kplane-management
VCP      ?= demo
# The newest Python on PATH that ansible-core and kplane-server both take.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  if $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1; then command -v $$p; break; fi; done)
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# Tests of real servers and playbooks wait as much as they compute.
WAITING_JOBS = $(shell echo $$(( 2 * $(JOBS) )))

VENV        := $(CURDIR)/.venv
BIN         := $(VENV)/bin
COLLECTIONS := $(CURDIR)/.build/collections
# Real copies of the collection, for ansible-test: one for each lane, so that lanes may run side by side.
COPIES      := $(CURDIR)/.build/copies
COPY         = $(COPIES)/$@/ansible_collections/kplane/core
STAMPS      := $(CURDIR)/.build/stamps
KUBECTL     := $(CURDIR)/.cache/bin/kubectl
KIND        := $(CURDIR)/.cache/bin/kind
K3D         := $(CURDIR)/.cache/bin/k3d
ETCD        := $(CURDIR)/.cache/bin/etcd
PORTFORWARD := $(CURDIR)/.cache/bin/portforward
APISERVER   := $(CURDIR)/.cache/bin/kube-apiserver
# What a release build of Kubernetes says of itself; kubectl compares that with the server's version.
KUBERNETES_VERSION := $(foreach x,gitVersion=v1.34.2 gitMajor=1 gitMinor=34,-X k8s.io/component-base/version.$(x))

export ANSIBLE_COLLECTIONS_PATH := $(COLLECTIONS)
export ANSIBLE_LOCALHOST_WARNING := false
export ANSIBLE_INVENTORY_UNPARSED_WARNING := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PATH := $(BIN):$(PATH)

PLAY = ansible-playbook -e kplane_provider=$(PROVIDER) -e kplane_cluster_name=$(CLUSTER)

.PHONY: help up down test lint typecheck docs-check sanity unit server-test collection-test e2e test-interruptions test-scale test-clients test-upstream bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'error: Python 3.11, 3.12 or 3.13 with the venv module is needed (Debian and Ubuntu: apt install python3 python3-venv); or say make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo 'making a virtual environment in .venv with $(PYTHON)'
	@$(PYTHON) -m venv $(VENV)

# The collection, where Ansible finds it.
$(COLLECTIONS)/ansible_collections/kplane/core:
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR) $@

$(STAMPS)/run: $(BIN)/python requirements.txt server/pyproject.toml | $(COLLECTIONS)/ansible_collections/kplane/core
	@echo 'installing what requirements.txt and server/ name (once)'
	@$(BIN)/python -m pip install --quiet -r requirements.txt -e server
	@mkdir -p $(@D) && touch $@

$(STAMPS)/test: $(STAMPS)/run requirements-dev.txt
	@echo 'installing what requirements-dev.txt names (once)'
	@$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

$(STAMPS)/clients: $(STAMPS)/test requirements-clients.txt
	@echo 'installing what requirements-clients.txt names (once)'
	@$(BIN)/python -m pip install --quiet -r requirements-clients.txt
	@touch $@

up: $(STAMPS)/run ## management plane, VCP `demo` and its credentials (PROVIDER, CLUSTER, VCP)
	@$(PLAY) playbooks/up.yml
	@$(PLAY) playbooks/create_cluster.yml -e kplane_vcp_name=$(VCP)
	@$(PLAY) playbooks/get_credentials.yml -e kplane_credentials_name=$(VCP)
	@echo
	@echo 'next: kubectl --context kplane-$(VCP) get namespaces'
	@echo '      make down takes everything away again'

down: $(STAMPS)/run ## take everything away again
	@$(PLAY) playbooks/down.yml -e kplane_confirm=true

# Lanes of one process run side by side, those that use every core by themselves one after the other.
SIDE_BY_SIDE = --jobs $(JOBS) $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

test: $(STAMPS)/test ## every check, but test-clients
	@$(MAKE) --no-print-directory $(SIDE_BY_SIDE) collection-test sanity lint typecheck docs-check
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory server-test
	@$(MAKE) --no-print-directory e2e

lint: $(STAMPS)/test ## ruff, import-linter, ansible-lint
	ruff check .
	ruff format --check .
	lint-imports
	ansible-lint --offline --profile production

typecheck: $(STAMPS)/test ## mypy, strict
	mypy server/src/kplane_server server/tools
	MYPYPATH=tests:tests/server mypy -p support -p benchmarks
	cd $(COLLECTIONS) && MYPYPATH=. mypy --config-file $(CURDIR)/pyproject.toml --namespace-packages --explicit-package-bases ansible_collections/kplane/core/plugins

docs-check: $(STAMPS)/test ## documentation of plugins and roles, changelog
	antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck --validate-collection-refs all .
	antsibull-changelog lint

sanity: $(STAMPS)/test ## ansible-test sanity, without exceptions
	tests/support/ansible_test.sh $(COPY) sanity --color no

unit: $(STAMPS)/test ## pure logic and contracts
	pytest -n $(JOBS) tests/server/unit tests/server/contract
	tests/support/ansible_test.sh $(COPY) units --color no --python-interpreter $(BIN)/python --python $(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

server-test: $(STAMPS)/test $(KUBECTL) ## a real server, kubectl and the Python client
	pytest -n $(WAITING_JOBS) --timeout 300 tests/server --ignore tests/server/unit --ignore tests/server/contract

collection-test: $(STAMPS)/test ## real playbooks and modules, twice, in check mode and with errors
	tests/support/ansible_test.sh $(COPY) integration --color no

e2e: $(STAMPS)/test $(KUBECTL) $(KIND) $(K3D) ## the README's commands on a stranger's machine, and every provider
	PYTHONPATH=tests/server pytest -n $(WAITING_JOBS) --dist loadfile --timeout 900 tests/e2e

# `make e2e` tries some of these steps; all of them take the better part of an hour.
test-interruptions: $(STAMPS)/test ## kill -9 of the playbooks of kind, k3s and kubeconfig before each of their steps
	KPLANE_TEST_EVERY_STEP=1 PYTHONPATH=tests/server pytest -n $(JOBS) --timeout 7200 tests/e2e/test_interruption.py

test-scale: $(STAMPS)/test ## two management planes of a thousand VCPs each, through a whole life and kill -9
	PYTHONPATH=tests/server pytest --timeout 900 tests/scale

# A lane of its own: a machine without a build cache compiles for some ten minutes first. Without Go or Node it says what it skips.
test-clients: $(STAMPS)/clients $(KUBECTL) ## published clients, unmodified: kubectl, Go, Node, Python, Ansible (builds them once)
	PYTHONPATH=tests/server python -m support.published
	pytest -n $(JOBS) --timeout 300 tests/clients

# The pinned kubectl of the tests, where there is Go to build it; the tests say loudly what they skip where there is none.
$(KUBECTL): tests/tools/kubectl/go.mod tests/tools/kubectl/main.go
	@if command -v go >/dev/null; then mkdir -p $(@D) && cd tests/tools/kubectl && go build -ldflags '$(KUBERNETES_VERSION)' -o $@ . ; \
	else echo 'NO GO: the tests use the kubectl on PATH, or skip what needs one' >&2; fi

# Outside `make test`: the first run compiles kube-apiserver, which takes some five minutes of processor time.
test-upstream: $(STAMPS)/test $(ETCD) $(PORTFORWARD) $(APISERVER) $(KUBECTL) $(KIND) $(K3D) ## real etcd, kube-apiserver and Docker with what we give them (needs Go)
	PYTHONPATH=tests/server pytest --timeout 600 tests/upstream

$(APISERVER): tests/tools/kube-apiserver/go.mod tests/tools/kube-apiserver/main.go
	@if command -v go >/dev/null; then mkdir -p $(@D) && cd tests/tools/kube-apiserver && nice -n 10 go build -ldflags '$(KUBERNETES_VERSION)' -o $@ . ; \
	else echo 'NO GO: the tests of the real kube-apiserver are skipped' >&2; fi

# The real kind and k3d, for what needs no daemon, the stack's etcd, and the kubelet's port-forward.
$(KIND) $(K3D) $(ETCD) $(PORTFORWARD): $(CURDIR)/.cache/bin/%: tests/tools/%/go.mod tests/tools/%/main.go
	@if command -v go >/dev/null; then mkdir -p $(@D) && cd tests/tools/$* && go build -o $@ . ; \
	else echo 'NO GO: the tests of the real $* are skipped' >&2; fi

bench: $(STAMPS)/test ## the benchmarks, with their conditions
	PYTHONPATH=tests:tests/server python -m benchmarks

clean: ## remove what make made in this tree (not a running management plane: that is make down)
	rm -rf .venv .build .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/output
