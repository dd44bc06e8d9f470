"""What a profile says of an engine."""

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.testkit import FULL, Feature, Profile, never, not_yet
from omopcloudetl.testkit.profile import TYPES


class Generator(BaseSQLGenerator):
    dialect = "sqlite"
    types = dict.fromkeys(TYPES, "TEXT")
    capabilities = dict.fromkeys(Capability, FULL) | {Capability.MERGE: never("it has no MERGE")}


ALL = dict.fromkeys(Feature, FULL)


def test_a_feature_that_is_not_declared_is_told_with_what_it_is() -> None:
    """The name and the words of the feature are in the problem."""
    (problem,) = Profile({feature: FULL for feature in Feature if feature is not Feature.CANCEL}).undeclared(
        Generator()
    )
    assert problem == f"Feature.CANCEL, {Feature.CANCEL.value}, is not declared"


def test_what_is_missing_needs_a_reason() -> None:
    """`not_yet("")` is a problem."""
    (problem,) = Profile(ALL | {Feature.IDS: not_yet("")}).undeclared(Generator())
    assert problem == f"Feature.IDS, {Feature.IDS.value}, is declared as not_yet without a reason"


def test_a_type_without_a_spelling_is_told_before_a_case_needs_it() -> None:
    """By its name in the generator."""

    class Untyped(Generator):
        types = dict.fromkeys(TYPES[:-1], "TEXT")

    assert Profile(ALL).undeclared(Untyped()) == ["the generator's `types` has no 'boolean'"]


def test_a_need_of_the_generator_is_asked_there() -> None:
    """A capability that the generator lacks is missing, with the generator's reason."""
    profile = Profile(ALL)
    assert (
        profile.missing("writes/merge", {Feature.WRITES, Capability.MERGE}, Generator())
        == "MERGE never: it has no MERGE"
    )
    assert profile.missing("writes/merge", {Feature.WRITES}, Generator()) is None


def test_a_single_case_may_be_missing() -> None:
    """A case that is declared by its name is missing although its needs are there."""
    profile = Profile(ALL, {"loads/utf_16": not_yet("no UTF-16")})
    assert profile.missing("loads/utf_16", {Feature.LOADS}, Generator()) == "loads/utf_16 not yet: no UTF-16"
    assert profile.missing("loads/latin_1", {Feature.LOADS}, Generator()) is None


def test_what_is_said_of_a_case_goes_before_what_is_said_of_its_needs() -> None:
    """Of one engine a case may pass, though the provider, which knows others, cannot promise it."""
    lacking = Profile({Feature.EVENTS: not_yet("it is slow")}, cases={"events/routing": FULL})
    assert lacking.missing("events/routing", [Feature.EVENTS], Generator()) is None
    assert lacking.missing("events/no_rows", [Feature.EVENTS], Generator()) == "EVENTS not yet: it is slow"
