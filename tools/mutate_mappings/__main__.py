"""`python -m tools.mutate_mappings [MAPPING…]`: exit code 1 if a rule can be broken and no test notices."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from ruamel.yaml import YAML

from tools.mutate_mappings.mutants import Mutant
from tools.mutate_mappings.trial import Trial, laboratory

EQUIVALENT = Path(__file__).parent / "equivalent.yaml"


def read_equivalent() -> dict[str, dict[str, str]]:
    """Mapping → label of a mutant that does the same as the rule, or nothing that can be seen → why."""
    content = YAML(typ="safe").load(EQUIVALENT.read_text(encoding="utf-8"))
    return {name: dict(labels) for name, labels in (content or {}).items()}


def sampled(mutants: Sequence[Mutant], count: int | None) -> list[Mutant]:
    """All of them, or so many, evenly spread."""
    if count is None or count >= len(mutants):
        return list(mutants)
    return [mutants[i * len(mutants) // count] for i in range(count)]


def unnoticed(trials: Sequence[Trial], equivalent: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The mutants that survived and are not listed as equivalent."""
    return [
        f"{trial.mutant.mapping}: {trial.mutant.label}"
        for trial in trials
        if trial.state == "survived" and trial.mutant.label not in equivalent.get(trial.mutant.mapping, {})
    ]


def outdated(trials: Sequence[Trial], equivalent: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What is listed as equivalent and is no mutant any more, or is noticed by a test; of mappings that were tried."""
    survived = {(trial.mutant.mapping, trial.mutant.label) for trial in trials if trial.state == "survived"}
    tried = {trial.mutant.mapping for trial in trials}
    return [
        f"{mapping}: {label}"
        for mapping, labels in equivalent.items()
        if mapping in tried
        for label in labels
        if (mapping, label) not in survived
    ]


@click.command
@click.argument("mappings", nargs=-1)
@click.option("--sample", type=int, help="Try so many mutants, evenly spread; all of them without it.")
@click.option("-v", "--verbose", is_flag=True, help="A line for each mutant.")
def main(mappings: tuple[str, ...], sample: int | None, verbose: bool) -> None:
    """Break the rules of the shipped mappings one at a time, and run their rule tests."""
    equivalent = read_equivalent()
    with tempfile.TemporaryDirectory() as folder, laboratory(Path(folder) / "project") as lab:
        trials = []
        for mutant in sampled(list(lab.mutants(mappings)), sample):
            trial = lab.try_out(mutant)
            trials.append(trial)
            if verbose:
                click.echo(f"{trial.state:<8}  {mutant.mapping}: {mutant.label}{f'  ({trial.by})' if trial.by else ''}")
    counts = Counter(trial.state for trial in trials)
    new = unnoticed(trials, equivalent)
    old = outdated(trials, equivalent) if sample is None else []
    same = counts["survived"] - len(new)
    for line in new:
        click.echo(f"no test notices: {line}")
    for line in old:
        click.echo(f"listed as equivalent, and is not: {line}")
    click.echo(
        f"{len(trials)} mutants: {counts['noticed']} noticed, {len(new)} not noticed, {counts['same']} the same SQL, "
        f"{same} listed as equivalent, {counts['refused']} refused by the compiler"
    )
    sys.exit(1 if new or old else 0)


if __name__ == "__main__":
    main()
