# `uv run just` lists the recipes; with `just` on the path, `just` does too.

# List the recipes.
default:
    @just --list

# Make the environment: every package, editable, and every tool.
setup:
    uv sync

# Everything CI runs.
ci:
    .ci/run

# Lint and check the format; changes nothing.
lint:
    uv run ruff check
    uv run ruff format --check

# Repair what can be repaired, and format.
format:
    uv run ruff check --fix
    uv run ruff format

# Check the types, by package (the list is in pyproject.toml).
types:
    uv run mypy

# Check the import contracts.
imports:
    uv run lint-imports

# Run the tests; arguments go to pytest: `just test packages/core -n 0`.
test *args:
    uv run pytest {{args}}

# Run the tests that need real Spark, in an environment of their own; needs Java 17 and takes many minutes: `just spark -k kit`.
spark *args:
    uv run --no-sync python -m tools.spark_environment
    .venv-spark/bin/pytest -m spark -n 0 tests-integration/test_real_spark.py tests-integration/test_kit_real_spark.py tests-integration/test_crash_storm_spark.py {{args}}

# Build every package and check what each wheel holds.
build out="dist":
    uv build --all-packages --clear --out-dir {{quote(out)}}
    uv run python -m tools.check_wheels {{quote(out)}}

# Move every third-party package to its newest allowed version and write the pins.
pins:
    uv run --no-sync python -m tools.pins --refresh
    uv sync

# Check that what is resolved equals the pins.
pins-check:
    uv run python -m tools.pins --check

# Show the longest modules, classes, functions and argument lists.
tail:
    uv run python -m tools.tail

# Break the rules of the shipped mappings one at a time, and say which no rule test notices: `just mutate person`.
mutate *args:
    uv run python -m tools.mutate_mappings {{args}}

# Measure the budgets: `just bench help demo --quick`; docs/benchmarks.md says what each prints.
bench *args:
    uv run python -m tools.bench {{args}}

# Write docs/reference from the models and the commands.
reference:
    uv run python -m tools.reference

# Build the documentation's site; a warning, or anything fetched from elsewhere, is an error. (`--quiet` hides warnings from `--strict`.)
site out="site":
    NO_MKDOCS_2_WARNING=1 uv run --isolated --only-group site mkdocs build --strict --site-dir {{quote(out)}}
    uv run python -m tools.check_site {{quote(out)}}

# Show the site at http://127.0.0.1:8000 while pages are written.
site-serve:
    NO_MKDOCS_2_WARNING=1 uv run --isolated --only-group site mkdocs serve --dev-addr 127.0.0.1:8000
