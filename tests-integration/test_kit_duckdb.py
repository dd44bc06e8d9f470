"""DuckDB passes the whole conformance kit."""

from pathlib import Path

import pytest

from omopcloudetl.provider_duckdb.plugin import omopcloudetl_register_providers
from omopcloudetl.testkit import FULL, Feature, Profile, ProviderConformance, Target

(PROVIDER,) = omopcloudetl_register_providers()


class TestDuckDB(ProviderConformance):
    profile = Profile(dict.fromkeys(Feature, FULL))

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        """A database file in the test's own folder."""
        return Target(PROVIDER, {"path": "kit.duckdb", "threads": 1}, tmp_path)
