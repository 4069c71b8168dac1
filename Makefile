# `make` sets everything up, then trains, scores and reports every run of params.yaml. `make help` lists the rest.
# PROFILE: default (params.yaml) or a folder of profiles/. BACKEND: tensorflow, or jax, which is installed only then.
# ENGINE: local, or ray, likewise.
PROFILE ?= default
BACKEND ?= tensorflow
ENGINE ?= local
REV ?= HEAD
JOBS ?= 2
BENCH ?= training evidence sampling pipeline growth compilation full_size cluster

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# DVC's own choice, /var/tmp/dvc, is shared with every user of the machine.
export DVC_SITE_CACHE_DIR ?= $(CURDIR)/.scratch/dvc
# DVC wants a name, which the user of a container need not have.
export LOGNAME ?= $(or $(USER),nobody)

profiles := $(strip default $(patsubst profiles/%/params.yaml,%,$(wildcard profiles/*/params.yaml)))
ifeq ($(filter $(PROFILE),$(profiles)),)
$(error PROFILE=$(PROFILE): no such profile; there are: $(profiles))
endif
ifeq ($(filter $(BACKEND),tensorflow jax),)
$(error BACKEND=$(BACKEND): no such backend; there are: tensorflow jax)
endif
ifeq ($(filter $(ENGINE),local ray),)
$(error ENGINE=$(ENGINE): no such engine; there are: local ray)
endif

# Another profile than the default one runs in a copy of this folder; its results come back to profiles/<name>/.
IN := $(if $(filter default,$(PROFILE)),,.venv/bin/python -m tools.profiles $(PROFILE))

.PHONY: all setup setup-dev test test-project test-cluster test-browser mutants gates lint lock docs prune parallel verify verify-kills time diff bench bench-compare open serve help

all: setup ## (the default) run what has changed in params.yaml or in the code, then show the results
	@$(IN) sh -c 'python -m stages.check && dvc repro && python -m tools.table'

setup: ## only make .venv and install requirements.txt (BACKEND=jax or ENGINE=ray: requirements-jax.txt or -ray.txt too)
	@sh tools/setup.sh requirements.txt $(if $(filter jax,$(BACKEND)),requirements-jax.txt) \
	    $(if $(filter ray,$(ENGINE)),requirements-ray.txt)

setup-dev: setup
	@sh tools/setup.sh requirements-dev.txt

test: setup-dev ## run the tests; with BACKEND=jax what JAX may answer otherwise
ifeq ($(BACKEND),jax)
	KERAS_BACKEND=jax .venv/bin/python -m pytest -m backend
else
	.venv/bin/python -m pytest
endif

test-project: setup-dev ## run the tests that want a project of their own and DVC in it, the README among them
	.venv/bin/python -m pytest -m project

test-cluster: setup-dev ## run the tests of a cluster: two nodes of Ray on this machine, one of which dies
	@sh tools/setup.sh requirements-ray.txt
	@.venv/bin/python -m tools.profiles smoke sh -c 'python -m stages.check && dvc repro --quiet'
	.venv/bin/python -m pytest -n 0 tests/cluster/imports.py tests/cluster/two_nodes.py

test-browser: setup-dev ## open every page of the last run in Chromium, on a phone and on a desk, light and dark, without a network
	@$(IN) sh -c 'python -m pytest -n 0 tests/browser/pages.py'

mutants: setup-dev ## make deliberate mistakes in the estimation of likelihoods: the tests must catch each
	@.venv/bin/python -m tools.mutants

gates: setup ## what every run had to show, and to gain over others; fails if one of these failed
	@$(IN) sh -c 'python -m tools.gates'

lint: setup-dev ## check the style of the code
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .

lock: setup ## pin what pyproject.toml asks for; keeps the pins that still fit
	@sh tools/lock.sh

docs: setup ## write the generated pages of docs/ anew
	.venv/bin/python tools/docs.py

prune: setup ## remove what belongs to runs and data sets that params.yaml no longer has
	@$(IN) sh -c 'python -m tools.prune'

parallel: setup ## run what has changed, JOBS runs (2) at the same time
	@$(IN) sh -c 'python -m stages.check && python -m tools.parallel $(JOBS) && python -m tools.table'

verify: setup ## run the smoke profile twice from nothing: every byte must be the same (see README)
	@.venv/bin/python -m tools.verify $(if $(filter file,$(origin PROFILE)),smoke,$(PROFILE)) $(if $(TOLERANCE),tolerance)

verify-kills: setup-dev ## kill trainings and estimates of each family twenty times: the bytes must be the same
	.venv/bin/python -m pytest -n 0 -s tests/kills/verify.py

time: setup ## what each stage took when it last ran, and what came from the cache
	@$(IN) sh -c 'python -m tools.time'

diff: setup ## a page of what changed between a commit (REV, the last one) and now
	@$(if $(IN),echo "make diff knows the default profile only" >&2; exit 1,.venv/bin/python -m tools.diff $(REV))

bench: setup ## how fast everything is, beside what others do and what the machine can do: over an hour
	@.venv/bin/python -c 'import pythae, torch' 2>/dev/null || { mkdir -p .scratch; \
	    sed '/^ *--hash/d; s/ *\\$$//' requirements.txt >.scratch/constraints.txt; \
	    .venv/bin/python -m pip install -q -c .scratch/constraints.txt -r requirements-bench.txt; }
	@case " $(BENCH) " in *" compilation "*) sh tools/setup.sh requirements-jax.txt ;; esac
	@case " $(BENCH) " in *" cluster "*) sh tools/setup.sh requirements-ray.txt ;; esac
	@for each in $(BENCH); do .venv/bin/python -m benchmarks.$$each || exit 1; done
	@.venv/bin/python -m benchmarks.results readme

bench-compare: setup ## which of the ratios fell by more than 20 %, against OLD=<another results.json>
	@.venv/bin/python -m benchmarks.results compare $(OLD)

open: setup ## open the report in a browser
	@$(IN) sh -c 'test -e reports/html/index.html || { echo "no report yet: run make" >&2; exit 1; }; \
	    python -m webbrowser "file://$$PWD/reports/html/index.html"'

serve: setup ## show the report at http://127.0.0.1:8000, to this machine only
	@$(IN) sh -c 'test -e reports/html/index.html || { echo "no report yet: run make" >&2; exit 1; }; \
	    python -m http.server --bind 127.0.0.1 --directory reports/html 8000'

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1 == "all" ? "" : $$1, $$2 }' Makefile
	@echo "Profiles: $(profiles). For example: make PROFILE=smoke, make prune PROFILE=smoke, make test BACKEND=jax"
