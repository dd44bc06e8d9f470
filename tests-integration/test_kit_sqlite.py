"""A provider that can do little declares so, and the conformance kit holds it to that."""

from pathlib import Path

import pytest
from acme_sqlite.plugin import omopcloudetl_register_providers

from omopcloudetl.testkit import FULL, Feature, Profile, ProviderConformance, Target, never, not_yet

(PROVIDER,) = omopcloudetl_register_providers()


class TestSQLite(ProviderConformance):
    profile = Profile(
        dict.fromkeys(Feature, FULL)
        | {
            Feature.TYPES: not_yet("SQLite has no TRY_CAST"),
            Feature.LOADS: never("SQLite reads no files"),
            Feature.REJECTS: never("SQLite reads no files"),
            Feature.REJECTED_LINES: never("SQLite reads no files"),
            Feature.CANCEL: not_yet("nobody interrupts it"),
        },
        {
            "records/values_arrive_as_they_are": not_yet("times are texts"),
            "records/errors_quote_no_value": never("a column takes values of any type"),
            "sessions/records_are_written_at_the_same_time": never("one session writes at a time"),
        },
    )

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        """Files in a folder."""
        return Target(PROVIDER, {"folder": "database"}, tmp_path)
