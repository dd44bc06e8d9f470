"""`ProviderConformance`: the test class that a provider subclasses."""

from __future__ import annotations

from typing import ClassVar

import pytest
from sqlglot.errors import SqlglotError

from omopcloudetl.core.errors import OmopCloudEtlError
from omopcloudetl.testkit.bench import Bench
from omopcloudetl.testkit.catalogue import Case, all_cases
from omopcloudetl.testkit.outcome import ConformanceError
from omopcloudetl.testkit.profile import Profile
from omopcloudetl.testkit.target import Target


class ProviderConformance:
    """Every case of the kit, on the database that the fixture `target` makes.

    ```python
    class TestAcme(ProviderConformance):
        profile = Profile({feature: FULL for feature in Feature} | {Feature.CANCEL: not_yet("…")})

        @pytest.fixture
        def target(self, tmp_path):
            return Target(provider, {"path": "kit.db"}, tmp_path)
    ```

    A case that needs what is declared missing must be refused, or fail; it is then shown as an expected failure with
    the reason of the profile. If it passes, the profile is wrong, and the test fails.
    """

    profile: ClassVar[Profile]

    @pytest.fixture
    def target(self) -> Target:
        """An empty database for each test."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `target`, which returns a Target")

    def test_every_capability_is_declared(self, target: Target) -> None:
        """The profile has every feature, and the generator every capability, with a reason where it is missing."""
        problems = self.profile.undeclared(target.provider.generator_for(target.settings))
        names = {case.name for case in all_cases()}
        problems += [
            f"the kit has no case {name}"
            for name in {**self.profile.cases, **self.profile.untried}
            if name not in names
        ]
        if problems:
            raise ConformanceError("\n".join(problems))

    @pytest.mark.parametrize("case", all_cases(), ids=str)
    def test_case(self, case: Case, target: Target) -> None:
        """The engine keeps the promise of the case, or says that it does not."""
        if case.name in self.profile.untried:
            pytest.skip(self.profile.untried[case.name])
        bench = Bench(target, target.provider.generator_for(target.settings))
        missing = self.profile.missing(case.name, case.needs, bench.generator)
        if missing is None:
            try:
                case.run(bench)
            except Exception as error:
                error.add_note(case.about)
                raise
            return
        try:
            case.run(bench)
        except ConformanceError as difference:
            if case.kind == "rows":
                message = f"it gives other rows, and should be refused: {missing}\n{difference}"
                raise ConformanceError(message) from None
        except (OmopCloudEtlError, NotImplementedError, SqlglotError):
            pass
        else:
            if case.kind != "refusal":
                raise ConformanceError(f"it passes, though the profile says: {missing}")
        pytest.xfail(missing)
