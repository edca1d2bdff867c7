# Two commands do all the set-up: `make demo` and `make test` (both make the environment first).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# torch is installed first and exactly, so that a machine's CPU wheel is taken where there is one
# and no other package pulls a CUDA build of gigabytes. Another build: make env TORCH=torch==2.9.1
TORCH ?= torch==2.13.0
TEST_WORKERS ?= 2
PLUGIN_SOURCES := $(shell find mofmd/plugin -type f)
CPP_FILES := $(shell find mofmd/plugin tests/cpp -name '*.cpp' -o -name '*.h')

.PHONY: env demo test test-long lint tidy format bench sanitize coverage clean

env: $(VENV)/.built

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

$(VENV)/.built: $(VENV)/.installed $(PLUGIN_SOURCES)
	$(BIN)/mofmd build
	touch $@

# The isolated environments of the model frameworks, which the parity tests compare with.
$(VENV)/.frameworks: $(VENV)/.installed $(wildcard deploy/environments/*.txt)
	$(BIN)/mofmd env nequip
	$(BIN)/mofmd env mace
	$(BIN)/mofmd env sevennet
	touch $@

demo: env
	$(BIN)/mofmd demo

test: env $(VENV)/.frameworks
	$(BIN)/pytest -n $(TEST_WORKERS) --dist loadfile -m "not long"

# Lines of mofmd/ that the default suite runs, those of the programs that it starts included; as a
# table, the files with the most lines missed first, and as pages in build/coverage/html.
coverage: env $(VENV)/.frameworks
	rm -rf build/coverage
	failed=0; \
	$(BIN)/coverage run -m pytest -n $(TEST_WORKERS) --dist loadfile -m "not long" || failed=$$?; \
	$(BIN)/coverage combine --quiet; \
	$(BIN)/coverage html --quiet --directory build/coverage/html; \
	$(BIN)/coverage report --sort=-miss; \
	exit $$failed

test-long: env $(VENV)/.frameworks sanitize tidy
	$(BIN)/pytest -m long

sanitize: env $(VENV)/.frameworks
	$(BIN)/mofmd build --sanitize --directory build/sanitize
	MOFMD_TEST_SANITIZED_PLUGIN=build/sanitize $(BIN)/pytest tests/engine -m "not long"

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CPP_FILES)

# What clang-tidy finds, with the checks and their reasons in .clang-tidy: minutes, so not in lint.
tidy: $(VENV)/.installed
	$(BIN)/cmake -S . -B build/tidy -D CMAKE_EXPORT_COMPILE_COMMANDS=ON -D Python3_EXECUTABLE=$(abspath $(BIN))/python
	printf '%s\n' $(filter mofmd/plugin/%.cpp,$(CPP_FILES)) | xargs -n 1 -P $(TEST_WORKERS) \
	    $(BIN)/clang-tidy --quiet --warnings-as-errors='*' -p build/tidy

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(CPP_FILES)

bench: env
	$(BIN)/python benchmarks/step_against_model.py --output build/step_against_model.json
	$(BIN)/python benchmarks/nve_drift.py --output build/nve_drift.png
	$(BIN)/python benchmarks/analysis.py --output build/analysis.json
	$(BIN)/python benchmarks/watch.py --output build/watch.json

clean:
	rm -rf $(VENV) build
