# `make demo` and `make test` do all their own set-up; everything lives in .venv.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test test-slurm check bench docs clean
help:
	@echo "make demo     simulate radiographs, train, judge, predict, measure; ends with the path of a report"
	@echo "make test     the test suite"
	@echo "make test-slurm  the tests on a Slurm of this machine, which is installed where that may be done"
	@echo "make check    ruff and mypy"
	@echo "make bench    the benchmarks that this machine can run; takes hours"
	@echo "make docs     rebuild docs/benchmarks.md from the results"
	@echo "make install  only make .venv"

install: $(STAMP)
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("ethomorph needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	$(RUN)/ethomorph demo --out demo

test: install
	$(RUN)/python -m pytest -n 2

test-slurm: install
	tests/cluster/install-slurm.sh
	ETHOMORPH_TEST_SLURM=1 $(RUN)/python -m pytest tests/cluster

check: install
	$(RUN)/ruff check .
	$(RUN)/mypy

bench: install
	$(RUN)/python -m benchmarks

docs: install
	$(RUN)/python -m benchmarks.book

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
