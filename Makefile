# make demo    paints a photo with the shipped Starry Night: make demo PHOTO=holiday.jpg
# make test    runs every test, what computes with either engine; the page's where Chromium and 'make page-engine' are
# make test-quick      the daily round: no browser, no training
# make test-numerical  what computes, with either engine, as on an ordinary processor: AVX2, no bfloat16
# make test-python     both of these, quick and numerical: make test-python PYTHON=python3.9 ENV=.venv-3.9
# make lint    checks style, form, which package imports which, and types
# make gallery paints docs/gallery.md and docs/upscaled.md anew: every shipped model of photos, every upscaler
# make web     paints in the browser: fetches the page's painting engine, once, and opens the page
# make bench   times painting and training beside PyTorch
# make release tests, checks and builds dist/, where tag, version and CHANGELOG.md agree
# make clean   removes what the others made, .venv too
#
# Each works from a bare checkout: it makes .venv and installs there what it needs, once.

PHOTO ?=
MODEL = starry_night
WANTED = python3.12 python3.11 python3.10 python3.9 python3.14 python3.13 python3

# The newest Python here that MXNet runs on, else the newest; running each one passes by stubs that only have the name.
PYTHON = $(shell for python in $(WANTED); do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null \
	&& echo $$python && break; done)
NO_PYTHON = No Python from 3.9 on was found: install one, or point to it with PYTHON=/path/to/python
NO_VENV = $(PYTHON) cannot make virtual environments, it has no ensurepip: install its venv package \
	(on Debian and Ubuntu: apt install $(notdir $(PYTHON))-venv), or point to another Python with PYTHON=/path/to/python
HAS_VENV = $(shell $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && echo yes)

ENV = .venv
VENV = $(ENV)/bin/python
INSTALL = $(VENV) -m pip install --quiet --quiet --disable-pip-version-check

# The page's painting engine, from npm; one version, checked by its hash, so that the page works with the network cut.
ENGINE = e2e_art/web/static/vendor/onnxruntime-web-1.30.0
ENGINE_HASH = d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71
ENGINE_FILES = ort.wasm.min.mjs ort-wasm-simd-threaded.mjs ort-wasm-simd-threaded.wasm \
	ort.webgpu.min.mjs ort-wasm-simd-threaded.asyncify.mjs ort-wasm-simd-threaded.asyncify.wasm

# As many processes as cores, at most four: each takes a gigabyte.  Who is done early takes tests from the others.
PYTEST = $(VENV) -m pytest -rs -n logical --maxprocesses 4 --dist worksteal
# With MXNet, where that is installed; then what computes once more with PyTorch, in processes of its own.
BOTH = $(VENV) -c 'import sys; from importlib.util import find_spec as f; sys.exit(not (f("mxnet") and f("torch")))'
WITH_TORCH = if $(BOTH); then E2E_ART_ENGINE=torch $(PYTEST) -m numerical; fi
QUICK = not (browser or slow or training)
ORDINARY = DNNL_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX2

.PHONY: demo test test-quick test-numerical test-python lint gallery page-engine web bench release clean
.NOTPARALLEL:

demo: $(ENV)/e2e-art
	@photo="$${PHOTO:-$$($(VENV) -c 'import skimage; print(skimage.__path__[0])')/data/rocket.jpg}" \
	&& name="$$(basename "$$photo")" \
	&& $(VENV) infer.py "$$photo" --model "$(MODEL)" --stages --overwrite -o "demo/$${name%.*}.jpg"

test: $(ENV)/e2e-art-test
	@$(PYTEST)
	@$(WITH_TORCH)

test-quick: $(ENV)/e2e-art-test
	@$(PYTEST) -m "$(QUICK)"

test-numerical: $(ENV)/e2e-art-test
	@$(ORDINARY) $(PYTEST) -m numerical
	@export $(ORDINARY); $(WITH_TORCH)

test-python: $(ENV)/e2e-art-test
	@$(ORDINARY) $(PYTEST) -m "numerical or $(QUICK)"
	@export $(ORDINARY); $(WITH_TORCH)

lint: $(ENV)/e2e-art-lint
	@$(VENV) -m ruff check
	@$(VENV) -m ruff format --check
	@$(ENV)/bin/lint-imports
	@$(VENV) -m mypy

gallery: $(ENV)/e2e-art
	@$(VENV) docs/gallery.py
	@$(VENV) docs/upscaled.py

page-engine: $(ENGINE)

web: $(ENV)/e2e-art $(ENGINE)
	@$(VENV) -m e2e_art serve

bench: $(ENV)/e2e-art-bench
	@$(VENV) benchmarks/inference.py
	@$(VENV) benchmarks/training.py

release: $(ENV)/e2e-art-lint
	@E2E_ART_RELEASE=yes $(VENV) -m pytest -q tests/test_release.py
	@$(MAKE) --no-print-directory test lint
	@rm -rf build dist
	@$(VENV) -m build
	@$(VENV) -m twine check --strict dist/*

$(ENGINE):
	@command -v npm >/dev/null || { echo "npm was not found: install it (nodejs.org), then make web again"; exit 2; }
	@mkdir -p $(@D)
	@echo "Fetching $(@F) from npm ..."
	@cd $(@D) && npm pack --silent $(subst web-,web@,$(@F)) >/dev/null
	@cd $(@D) && echo "$(ENGINE_HASH)  $(@F).tgz" | sha256sum --check --quiet
	@cd $(@D) && tar xzf $(@F).tgz --strip-components 2 $(addprefix package/dist/,$(ENGINE_FILES)) && rm $(@F).tgz
	@touch $@

clean:
	rm -rf .venv .venv-* build dist demo *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# A stamp says what is installed; it is made anew when setup.cfg changes.  .venv/bin/pip is the last file of a new .venv.
$(ENV)/e2e-art $(addprefix $(ENV)/e2e-art-,test lint bench): setup.cfg pyproject.toml
	@$(if $(PYTHON),,$(error $(NO_PYTHON)))
	@$(if $(HAS_VENV),,$(error $(NO_VENV)))
	@test -x $(ENV)/bin/pip || $(PYTHON) -m venv --clear $(ENV)
	@echo "Installing into $(ENV) ..."
	@$(INSTALL) --upgrade pip
	@$(INSTALL) --editable '.$(EXTRAS)'
	@touch $(ENV)/e2e-art $@

$(ENV)/e2e-art-test: EXTRAS = [test]
$(ENV)/e2e-art-lint: EXTRAS = [test,lint]
$(ENV)/e2e-art-bench: EXTRAS = [bench]
