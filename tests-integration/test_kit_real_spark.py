"""Real Spark 3.5 with tables of Iceberg passes the conformance kit, but for what is declared."""

from pathlib import Path

import pytest
from real_spark import needs_spark, target
from spark_profiles import REAL_SPARK, profile

from omopcloudetl.provider_spark.plugin import omopcloudetl_register_providers
from omopcloudetl.testkit import ProviderConformance, Target
from omopcloudetl.testkit.catalogue import Case, all_cases

pytestmark = [*needs_spark, pytest.mark.filterwarnings("default")]
(PROVIDER,) = omopcloudetl_register_providers()
STUCK = {"texts/a_megabyte": "a statement with a literal of a megabyte takes ten minutes, or ends the JVM's stack"}
"""Not tried at all."""


class TestRealSpark(ProviderConformance):
    profile = profile(REAL_SPARK)

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        """An empty catalog."""
        return Target(PROVIDER, target(tmp_path), tmp_path)

    @pytest.mark.parametrize("case", all_cases(), ids=str)
    def test_case(self, case: Case, target: Target) -> None:
        """The engine keeps the promise of the case, or says that it does not."""
        if case.name in STUCK:
            pytest.xfail(STUCK[case.name])
        super().test_case(case, target)
