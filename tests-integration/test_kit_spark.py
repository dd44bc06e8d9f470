"""Sail, an engine that speaks Spark Connect, passes the conformance kit with tables of Delta, but for what is declared.

`OMOPCLOUDETL_LAKES=all` tries all of it, and with tables of Iceberg, too.
"""

from pathlib import Path

import pytest
from spark_profiles import ALL, SAIL, SAIL_ON_ICEBERG
from spark_server import empty_catalog

from omopcloudetl.provider_spark.plugin import omopcloudetl_register_providers
from omopcloudetl.testkit import ProviderConformance, Target

(PROVIDER,) = omopcloudetl_register_providers()


class TestSpark(ProviderConformance):
    profile = SAIL

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        """An empty catalog of Delta."""
        return Target(PROVIDER, empty_catalog(tmp_path, "delta"), tmp_path)


@pytest.mark.skipif(not ALL, reason="OMOPCLOUDETL_LAKES=all tries Iceberg, too")
class TestSparkOnIceberg(ProviderConformance):
    profile = SAIL_ON_ICEBERG

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        """An empty catalog of Iceberg."""
        return Target(PROVIDER, empty_catalog(tmp_path, "iceberg"), tmp_path)
