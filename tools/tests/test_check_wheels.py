import zipfile
from pathlib import Path

import pytest

from tools import check_wheels

INFO = "omopcloudetl_core-0.1.0.dist-info"
GOOD = [
    "omopcloudetl/",
    "omopcloudetl/core/__init__.py",
    "omopcloudetl/core/py.typed",
    f"{INFO}/METADATA",
    f"{INFO}/licenses/LICENSE",
]


def test_a_wheel_with_its_own_portion_passes() -> None:
    """Nothing is said about a good wheel."""
    assert check_wheels.check_members(GOOD, "omopcloudetl.core") == []


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        pytest.param([*GOOD, "omopcloudetl/__init__.py"], "outside", id="hides-the-siblings"),
        pytest.param([*GOOD, "omopcloudetl/cli/x.py"], "outside", id="another-portion"),
        pytest.param([*GOOD, "omopcloudetl/core2/x.py"], "outside", id="longer-name"),
        pytest.param(GOOD[:2] + GOOD[3:], "lacks omopcloudetl/core/py.typed", id="untyped"),
        pytest.param(GOOD[:-1], "lacks its LICENSE", id="no-license"),
    ],
)
def test_a_bad_wheel_is_named(members: list[str], problem: str) -> None:
    """Each way to spoil an installation is found."""
    (found,) = check_wheels.check_members(members, "omopcloudetl.core")
    assert problem in found


def test_missing_and_foreign_wheels_are_named(tmp_path: Path) -> None:
    """A folder must hold one wheel of each distribution and no other."""
    with zipfile.ZipFile(tmp_path / "other-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("other.py", "")
    assert check_wheels.check_folder(tmp_path, {"omopcloudetl-core": "omopcloudetl.core"}) == [
        "omopcloudetl-core: no wheel in the folder",
        "other-1-py3-none-any.whl: no package of the workspace",
    ]
