"""What every kind of mapping has: its name, its description, and the tests of its rules."""

from __future__ import annotations

from omopcloudetl.core.models.base import Name, StrictModel
from omopcloudetl.core.models.rule_tests import RuleTest


class MappingBase(StrictModel):
    """What every kind of mapping has."""

    name: Name
    """Unique in the project; it names the mapping in the ledger and its tables in `work`."""
    description: str | None = None
    """What the mapping does, shown by `omopcloudetl compile`."""
    tests: tuple[RuleTest, ...] = ()
    """Tests of the rules, which `omopcloudetl test` runs."""
