"""Real Spark 3.5 with tables of Iceberg passes the conformance kit, but for what is declared."""

from pathlib import Path

import pytest
from real_spark import needs_spark, target
from spark_profiles import REAL_SPARK

from omopcloudetl.provider_spark.plugin import omopcloudetl_register_providers
from omopcloudetl.testkit import ProviderConformance, Target

pytestmark = [*needs_spark, pytest.mark.filterwarnings("default")]
(PROVIDER,) = omopcloudetl_register_providers()


class TestRealSpark(ProviderConformance):
    profile = REAL_SPARK

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        """An empty catalog."""
        return Target(PROVIDER, target(tmp_path), tmp_path)
