# Each target sets up what it needs: a virtual environment in .venv, made anew when pyproject.toml changes.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
VENV := .venv
BIN := $(VENV)/bin
PIP := python -m pip install --quiet --disable-pip-version-check

.PHONY: demo demo-monitor test test-system test-spark test-pysigma2 test-lowest support lint types docs bench bench-correlation bench-spark scoreboard clean

demo: $(VENV)/.installed  ## scan the example logs with the example rules
	$(BIN)/sigma-pyeval scan -r examples/rules -p linux_eval --format table examples/logs

demo-monitor: $(VENV)/.installed  ## follow the example logs for ten seconds and show alerts
	@state=$$(mktemp -d) && trap 'rm -rf "$$state"' EXIT INT TERM && \
	    XDG_RUNTIME_DIR="$$state" timeout --preserve-status 10 $(BIN)/sigma-pyeval monitor -c examples/monitor.yml

test: $(VENV)/.installed  ## run the test suite with coverage
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term

OF_SPARK := $(wildcard tests/system/test_spark*.py)
SYSTEM_PACKAGES := chromium procps rsyslog rsyslog-gnutls strace systemd systemd-journal-remote util-linux

test-system: $(VENV)/.installed  ## run the tests that need other programs (Debian: apt-get install $(SYSTEM_PACKAGES))
	@echo "tests whose program is missing are skipped; on Debian: apt-get install $(SYSTEM_PACKAGES)"
	$(BIN)/python -m pytest -m system -rsfE $(addprefix --ignore=,$(OF_SPARK))

test-spark: $(VENV)-spark/.installed $(VENV)-spark-bare/.installed $(VENV)-spark-linked/.installed  ## run the tests that need Spark (and Java 17: apt-get install openjdk-17-jre-headless)
	$(VENV)-spark-linked/bin/$(PIP) --no-deps --force-reinstall .
	$(VENV)-spark/bin/python -m pytest -m system -rsfE $(OF_SPARK)

NOT_OF_PYSIGMA := monitor logs reports test_readme.py test_docs_site.py

test-pysigma2: $(VENV)-pysigma2/.installed  ## run the tests of rules and their meaning on pySigma 2
	$(VENV)-pysigma2/bin/python -m pytest -n 2 --dist loadfile $(addprefix --ignore tests/,$(NOT_OF_PYSIGMA)) --ignore-glob 'tests/test_how_to*'

test-lowest: $(VENV)-lowest/.installed  ## run the suite with the oldest versions that pyproject.toml admits
	$(VENV)-lowest/bin/python -m pytest -n 2 --dist loadfile --ignore-glob 'tests/test_how_to*'

support: $(VENV)/.installed  ## write docs/support.md from a run of the test suite
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest -n 2 --dist loadfile --support docs/support.md

lint: $(VENV)/.installed  ## check style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed  ## check types
	MYPYPATH=. $(BIN)/mypy

docs: $(VENV)/.installed $(VENV)-docs/.installed  ## write the generated parts of the documentation, build its site into build/site, check it
	$(BIN)/python docs/generate.py
	rm -rf build/site
	$(VENV)-docs/bin/zensical build --strict
	rm -f build/site/*.py
	$(BIN)/python docs/check_site.py build/site

bench: $(VENV)/.installed $(VENV)-bench/.installed  ## measure speed and memory; OPTIONS=--quick to try it out
	$(BIN)/python -m benchmarks --peers $(VENV)-bench/bin/python $(OPTIONS)

bench-correlation: $(VENV)/.installed  ## measure correlation rules against windows and groups
	$(BIN)/python -m benchmarks.correlation $(OPTIONS)

bench-spark: $(VENV)-spark/.installed $(VENV)-spark-bare/.installed $(VENV)-spark-linked/.installed  ## measure Spark beside scan, into docs/scale.md; OPTIONS="--events 600" to try it out
	$(VENV)-spark-linked/bin/$(PIP) --no-deps --force-reinstall .
	$(VENV)-spark/bin/python -m benchmarks.spark $(OPTIONS)

scoreboard: $(VENV)/.installed $(VENV)-peers/.installed  ## hold this package and others against the shared vectors, into docs/comparison.md
	$(BIN)/python -m benchmarks.conformance --peers $(VENV)-peers

clean:
	rm -rf $(VENV) $(VENV)-* build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.installed: pyproject.toml
	$(call new-venv,$(VENV))
	$(BIN)/$(PIP) -e '.[dev,cli,monitor,kafka,system]'
	touch $@

$(VENV)-pysigma2/.installed: pyproject.toml
	$(call new-venv,$(VENV)-pysigma2)
	$(VENV)-pysigma2/bin/$(PIP) -e '.[dev,monitor,kafka]' 'pysigma>=2.0.1,<3'
	touch $@

$(VENV)-lowest/.installed: pyproject.toml
	$(call new-venv,$(VENV)-lowest)
	$(VENV)-lowest/bin/$(PIP) -e '.[dev,monitor,kafka]' \
	    $$(sed -n -E '/^(dependencies|monitor|kafka) =/,/]$$/s/.*"([A-Za-z-]+)(\[.*\])?>=([0-9.]+).*/\1==\3/p' pyproject.toml)
	touch $@

$(VENV)-docs/.installed: docs/requirements.txt
	$(call new-venv,$(VENV)-docs)
	$(VENV)-docs/bin/$(PIP) -r $<
	touch $@

# Spark's driver, and two kinds of workers: one with nothing of ours, one with the runtime and no pySigma.
$(VENV)-spark/.installed: pyproject.toml
	$(call new-venv,$(VENV)-spark)
	$(VENV)-spark/bin/$(PIP) -e '.[dev,spark]'
	touch $@

$(VENV)-spark-bare/.installed: Makefile
	$(call new-venv,$(VENV)-spark-bare)
	$(VENV)-spark-bare/bin/$(PIP) pyarrow
	touch $@

$(VENV)-spark-linked/.installed: Makefile
	$(call new-venv,$(VENV)-spark-linked)
	$(VENV)-spark-linked/bin/$(PIP) pyarrow ahocorasick-rs orjson
	touch $@

# The programs compared with, each by itself: one that cannot be installed leaves the others.
$(VENV)-bench/.installed: benchmarks/peers.txt
	$(call new-venv,$(VENV)-bench)
	while read -r peer; do $(VENV)-bench/bin/$(PIP) "$$peer" || echo "$$peer: not installed"; done < $<
	touch $@

# An environment for each engine, as some need different versions of the same packages.
$(VENV)-peers/.installed: benchmarks/conformance/peers.txt
	while read -r name packages; do \
	    test -x $(VENV)-peers/$$name/bin/python || "$(PYTHON)" -m venv $(VENV)-peers/$$name; \
	    $(VENV)-peers/$$name/bin/$(PIP) $$packages || exit 1; \
	done < $<
	touch $@

define new-venv
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(1)/bin/python || "$(PYTHON)" -m venv $(1)
endef
