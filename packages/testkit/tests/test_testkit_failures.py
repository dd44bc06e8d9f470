"""What a provider's author reads where a case fails."""

from pathlib import Path

import pytest

from omopcloudetl.core.capabilities import FULL, Capability
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.registrations import Provider
from omopcloudetl.testkit import Feature, Profile, ProviderConformance, Target
from omopcloudetl.testkit.catalogue import all_cases
from omopcloudetl.testkit.outcome import ConformanceError


class Generator(BaseSQLGenerator):
    dialect = "sqlite"
    types = {}
    capabilities = dict.fromkeys(Capability, FULL)


class Conformance(ProviderConformance):
    profile = Profile(dict.fromkeys(Feature, FULL))


def test_a_failure_says_what_was_promised_where_it_stands_and_how_to_do_without(tmp_path: Path) -> None:
    """As a note of the error, whatever the error is."""

    def no_connection(settings: object, base: Path) -> None:
        raise ConformanceError("it does not open")

    provider = Provider("acme", "for a test", Generator, no_connection)  # type: ignore[arg-type]  # it never returns
    case = next(case for case in all_cases() if case.name == "transactions/rollback_leaves_nothing")
    with pytest.raises(ConformanceError) as told:
        Conformance().test_case(case, Target(provider, {}, tmp_path))

    (note,) = told.value.__notes__
    assert note.startswith(f"{case.name}: {case.promise}\nin omopcloudetl.testkit.promises.transactions\n")
    assert f"cases={{'{case.name}': not_yet('why')}}" in note


def test_the_files_of_a_case_are_where_it_says() -> None:
    """A case that is data names its folder."""
    places = {Path(case.place) for case in all_cases() if case.kind != "promise"}
    assert places
    assert all((place / "case.yaml").is_file() for place in places)
