# Everything runs in .venv, which is made on first use. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
# On Windows, call make where there is sh too (Git Bash), with PYTHON=python.
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
INSTALLED := $(VENV)/.installed-dev

# OpenSeadragon of the viewer: a pinned version from the npm registry, checked by its hash. It is part of the repository.
OSD := openseadragon-6.1.1
OSD_SHA256 := b4ab2942f33b90e0448e4d20fc5ed14cee049f1f3ae49d70afd4b05e9a2f92d0
VENDORED := nuclick_wsi/viewer/static/vendor/openseadragon

.PHONY: install vendor demo groovy test test-slow test-gpu lint types docs bench bench-peers torture fuzz audit sbom clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

vendor:
	mkdir -p build
	cd build && npm pack --silent openseadragon@$(OSD:openseadragon-%=%)
	echo "$(OSD_SHA256)  build/$(OSD).tgz" | sha256sum --check
	tar xzf build/$(OSD).tgz -C $(VENDORED) --strip-components=1 package/LICENSE.txt
	tar xzf build/$(OSD).tgz -C $(VENDORED) --strip-components=3 package/build/openseadragon/openseadragon.min.js

demo: install
	$(BIN)/nuclick-wsi demo demo

# A Groovy 4 compiler for the tests of QuPath's scripts, which run it where there is Java; needs npm.
GROOVY := .groovy/node_modules/npm-groovy-lint

groovy: $(GROOVY)

$(GROOVY):
	npm install --prefix .groovy --ignore-scripts --no-audit --no-fund npm-groovy-lint@16.2.0

# On all cores: each file of tests in one process.
test: install
	$(BIN)/python -m pytest -n auto --dist loadfile

test-slow: install
	$(BIN)/python -m pytest -m slow

test-gpu: install
	$(BIN)/python -m pytest -m gpu

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy does not see a folder under another name: it checks a folder of links with the import names.
types: install
	mkdir -p .mypy
	for name in nuclick_wsi qupath_extension asap_bridge; do ln -sfn ../$$name .mypy/$$name; done
	ln -sfn ../training .mypy/nuclick_training
	cd .mypy && ../$(BIN)/mypy --config-file ../pyproject.toml nuclick_wsi qupath_extension asap_bridge nuclick_training ../examples/*.py

# The site of docs/, in site/: a dead link fails.
docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build

$(VENV)/.installed-docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	touch $@

# One table of ratios, compared with the run that the repository keeps; `python -m benchmarks --help` has more.
bench: install
	$(BIN)/python -m benchmarks

# TIAToolbox's and MONAI's NuClick beside ours, in an environment of their own: some 6 GB, most of it CUDA.
PEERS := .venv-peers

bench-peers: install $(PEERS)/.installed
	NUCLICK_PEERS_PYTHON=$(PEERS)/$(notdir $(BIN))/python $(BIN)/python -m benchmarks.peers.compare --plot docs/images/peers.png

$(PEERS)/.installed: benchmarks/peers/requirements.txt
	test -x $(PEERS)/$(notdir $(BIN))/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/$(notdir $(BIN))/python -m pip install --quiet -r benchmarks/peers/requirements.txt
	touch $@

# Kills, full disks, damaged journals and more, really made; prints the table of docs/reliability.md, and goes on where it
# was stopped. Linux, with a C compiler; QuPath's hierarchy too where there is paquo, and PAQUO_QUPATH_DIR names a QuPath.
torture: install
	PYTHONPATH=tests:. $(BIN)/python -m torture

# Damaged inputs, N in all, on CORES cores; it goes on where it stopped, and `rm -r .fuzz` begins anew.
N ?= 100000
CORES ?= 2

fuzz: install
	PYTHONPATH=tests $(BIN)/python -m fuzz --inputs $(N) --cores $(CORES)

# Known vulnerabilities of what is installed, and a list of it (CycloneDX, in sbom.json), by tools in an environment of
# their own. What the database does not know is a failure too; of a build such as torch 2.13.0+cpu it knows the version.
AUDIT := .audit/$(notdir $(BIN))

audit: install $(AUDIT)/pip-audit
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+.*//' > .audit/installed.txt
	$(AUDIT)/pip-audit -r .audit/installed.txt --no-deps --disable-pip --strict --progress-spinner off

sbom: install $(AUDIT)/pip-audit
	$(AUDIT)/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml -o sbom.json $(BIN)/python

$(AUDIT)/pip-audit:
	$(PYTHON) -m venv .audit
	$(AUDIT)/python -m pip install --quiet "pip-audit>=2.9" "cyclonedx-bom>=7"

clean:
	rm -rf $(VENV) .venv-peers .groovy .audit .fuzz .torture sbom.json .mypy build dist site demo *.egg-info
