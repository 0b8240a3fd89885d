# Every target sets up what it needs; a second run starts at once.
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: run test check format bench clean help tools

# What listens, and what speaks well, is large, and installed only where it is asked for, in the environment or in .env.
said = $(or $($(1)),$(shell sed -n 's/^$(1)=\(..*\)/\1/p' .env 2>/dev/null))
COMMA := ,
VOICES := $(filter piper kokoro higgs coqui,$(subst $(COMMA), ,$(call said,CUELINE_TTS_ENGINE)))
EXTRAS := $(VOICES) $(if $(call said,CUELINE_STT_ENGINE),whisper) $(filter local,$(call said,CUELINE_LLM))

# Two files of tests at once; but those that fill the machine, or listen to the page as time goes by, have it alone.
JOBS ?= 2
ALONE := tests/api/test_under_strain.py $(patsubst %,tests/e2e/test_%.py,hearing microphone reply spoken barge_in)

run: .venv/.base $(EXTRAS:%=.venv/.%)  ## set up and start everything; Ctrl-C stops all
	@exec $(BIN)/cueline up

test: .venv/.dev node_modules/.done tools  ## every test: the page's in node, then Python's
	@node --test --test-reporter=spec $(wildcard tests/js/*.test.js tests/js/*.test.mjs)
	@$(BIN)/pytest -n $(JOBS) --dist loadfile $(ALONE:%=--ignore=%) $(ARGS)
	@$(BIN)/pytest $(ALONE) $(ARGS)

check: .venv/.dev node_modules/.done  ## what must hold before a commit: style, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@npm run --silent lint

format: .venv/.dev  ## rewrite the Python code in the one style
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

bench: .venv/.dev  ## measure: make bench NAME=... (without a name: a list)
	@exec $(BIN)/cueline bench $(NAME) $(ARGS)

clean:  ## remove everything that these targets made
	rm -rf .venv node_modules build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

tools:
	@deploy/setup.sh tools

.venv/.base .venv/.whisper .venv/.piper .venv/.kokoro .venv/.higgs .venv/.local .venv/.coqui .venv/.dev: pyproject.toml constraints.txt deploy/setup.sh
	@deploy/setup.sh $(@F)

node_modules/.done: package-lock.json
	@deploy/setup.sh node
