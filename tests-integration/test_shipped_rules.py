"""The rule tests of the shipped projects: every mapping has some, and all pass."""

from pathlib import Path

import pytest

from omopcloudetl.core import RuleTestReport, check_rules, create_project

pytestmark = pytest.mark.xdist_group("shipped rules")  # so that the report is made once

VARIABLES = {"source_uri": "data", "vocabulary_uri": "vocabulary"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> RuleTestReport:
    """The report of all tests of the Synthea project."""
    root: Path = tmp_path_factory.mktemp("rules") / "synthea"
    create_project(root, "synthea", variables=VARIABLES)
    return check_rules(root)


def test_all_rule_tests_pass(report: RuleTestReport) -> None:
    """Each shipped mapping has tests and makes of their rows what they say; none gives rows that nothing reads."""
    assert report.untested == ()
    assert [f"{result.file}:{result.line} {result.name}" for result in report.failed] == []
    assert [str(warning) for warning in report.warnings] == []


def test_a_rule_test_is_fast(report: RuleTestReport) -> None:
    """Well under a second each."""
    slow = [result.name for result in report.results if result.seconds > 1]
    assert slow == []
