from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tools.demo_data.maker import main, make_source
from tools.demo_data.tests.conftest import Table, read
from tools.demo_data.versions import SHIPPED, VERSIONS, columns

Source = dict[str, Table]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """Return the rows of 100 patients of seed 42, by release and file."""
    made = {}
    for version in VERSIONS:
        out = tmp_path_factory.mktemp(f"v{version}")
        make_source(100, 42, out, version)
        made[version] = {path.stem: read(path) for path in out.glob("*.csv")}
    return made


@pytest.mark.parametrize("version", VERSIONS)
def test_every_row_has_the_columns_of_its_release(tmp_path: Path, version: str) -> None:
    """A file has its release's header, and no row is short or long."""
    main(["--patients", "40", "--synthea-version", version, "--out", str(tmp_path)])
    for name, header in columns(version).items():
        first, *rows = (tmp_path / f"{name}.csv").read_text("utf-8").splitlines()
        assert first == header
        assert {row.count(",") for row in rows} == {header.count(",")}


def test_the_headers_are_those_of_the_releases() -> None:
    """What a release has and another lacks, as ETL-Synthea's tables and Synthea's exporter say."""
    have = {version: columns(version) for version in VERSIONS}
    new = {"patients": ("FIPS", "INCOME"), "payers": ("OWNERSHIP",), "providers": ("ENCOUNTERS", "PROCEDURES")}
    for version in VERSIONS:
        late = version in {"3.1", "3.2", "3.3"}
        cells = {name: header.split(",") for name, header in have[version].items()}
        assert all((column in cells[name]) == late for name, added in new.items() for column in added)
        assert ("START_DATE" in cells["payer_transitions"]) == late
        assert ("DATE" in cells["procedures"]) == (version == "2.7")
        assert ("CATEGORY" in cells["observations"]) == (version != "2.7")
        assert ("SYSTEM" in cells["allergies"]) == (version != "2.7")
        assert ("SYSTEM" in cells["conditions"]) == ("SYSTEM" in cells["procedures"]) == (version == "3.3")
        assert ("MIDDLE" in cells["patients"]) == (version == "3.3")
    assert have["3.3"]["patients"].startswith("Id,BIRTHDATE,DEATHDATE,SSN,DRIVERS,PASSPORT,PREFIX,FIRST,MIDDLE,LAST,")
    assert have["3.3"]["patients"].endswith(",COUNTY,FIPS,ZIP,LAT,LON,HEALTHCARE_EXPENSES,HEALTHCARE_COVERAGE,INCOME")
    assert have["3.3"]["procedures"].startswith("START,STOP,PATIENT,ENCOUNTER,SYSTEM,CODE,")


def test_the_releases_say_the_same(sources: dict[str, Source]) -> None:
    """What two releases have a column for is equal in both, row by row, but for what 2.7 cannot say."""
    for version in VERSIONS:
        for name, rows in sources[version].items():
            before = sources[SHIPPED][name]
            if version == "2.7" and name == "allergies":
                before = [row for row in before if row["SYSTEM"] != "RxNorm"]
            if version == "2.7" and name == "payer_transitions":
                continue
            assert len(rows) == len(before) > 0
            shared = set(rows[0]) & set(before[0])
            assert shared >= {"PATIENT"} or name in {"patients", "organizations", "providers", "payers"}
            assert [{c: r[c] for c in shared} for r in rows] == [{c: r[c] for c in shared} for r in before]


def test_old_procedures_have_their_start_as_date(sources: dict[str, Source]) -> None:
    """DATE of 2.7 is the later START."""
    pairs = zip(sources["2.7"]["procedures"], sources[SHIPPED]["procedures"], strict=True)
    assert all(old["DATE"] == new["START"] for old, new in pairs)


def test_old_insurance_is_told_in_whole_years(sources: dict[str, Source]) -> None:
    """Periods of 2.7 are years, the last one included, and a patient's periods share none."""
    periods = sources["2.7"]["payer_transitions"]
    assert {row["PATIENT"] for row in periods} == {row["PATIENT"] for row in sources[SHIPPED]["payer_transitions"]}
    assert all(1900 < int(row["START_YEAR"]) <= int(row["END_YEAR"]) < 2100 for row in periods)
    for one, two in itertools.pairwise(periods):
        assert one["PATIENT"] != two["PATIENT"] or int(two["START_YEAR"]) > int(one["END_YEAR"])


def test_the_shipped_release_is_the_default(tmp_path: Path, folder: Path) -> None:
    """Without the option, the files are those of the shipped release, byte for byte."""
    make_source(100, 42, tmp_path, SHIPPED)
    names = sorted(path.name for path in folder.glob("*.csv"))
    assert all((tmp_path / name).read_bytes() == (folder / name).read_bytes() for name in names)


def test_an_unknown_release_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A release that nobody described is an error that lists those there are."""
    with pytest.raises(SystemExit):
        main(["--synthea-version", "2.6", "--out", str(tmp_path)])
    assert "'2.6'" in (said := capsys.readouterr().err)
    assert all(version in said for version in VERSIONS)
