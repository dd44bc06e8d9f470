import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from omopcloudetl.core.session import Session
from tools.bench.__main__ import main
from tools.bench.by_hand import rehearse
from tools.bench.generated import write_project
from tools.bench.many_steps import run_many
from tools.bench.measure import MIB, Result, run_process
from tools.bench.synthea import Source, make_project, shipped_source


def test_generated_projects_compile(tmp_path: Path) -> None:
    """A generated project has exactly as many mappings as asked for, and compiles."""
    write_project(tmp_path / "many", 25)
    session = Session.open(tmp_path / "many")
    assert len(session.project.mappings) == 25
    stages = [step for step in session.compile().steps if step.name.startswith("stage_")]
    assert len(stages) == 25


def test_generated_projects_are_the_same_every_time(tmp_path: Path) -> None:
    """Two generated projects of one size have the same files, byte for byte."""
    found = []
    for name in ("one", "two"):
        write_project(tmp_path / name, 30)
        root = tmp_path / name
        found.append({f.relative_to(root): f.read_bytes() for f in root.rglob("*") if f.is_file()})
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("measured", "broken", "ok"), [(10.0, "", True), (10.1, "", False), (1.0, "imports duckdb", False)]
)
def test_a_result_is_over_above_its_budget_or_without_its_promise(measured: float, broken: str, ok: bool) -> None:
    """The budget itself is kept, anything above is over, and a broken promise is over at any number."""
    result = Result("x", measured, 10.0, "ms", broken=broken)
    assert result.ok is ok
    assert ("  ok  " if ok else "  over  ") in str(result)


def test_the_peak_of_a_process_is_its_own() -> None:
    """What this process holds is not counted as memory of the measured one."""
    held = bytearray(200 * MIB)
    small = run_process([sys.executable, "-c", "pass"]).peak
    large = run_process([sys.executable, "-c", f"x = bytearray({100 * MIB}); x[:] = b'x' * len(x)"]).peak
    assert small < 60 * MIB < 100 * MIB < large
    assert len(held) == 200 * MIB


def test_a_command_that_fails_is_told() -> None:
    """A process that fails is an error with its last words, not a short time."""
    with pytest.raises(RuntimeError, match="no such thing"):
        run_process([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_many_trivial_steps_are_run_and_sent_by_hand(tmp_path: Path) -> None:
    """Every step of the made plan is run for real, and the same transactions are timed by hand."""
    cost = run_many(50, tmp_path / "many")
    assert cost.steps == 50
    assert cost.seconds > 0 < cost.by_hand


def test_the_script_by_hand_holds_every_statement_of_the_plan(tmp_path: Path) -> None:
    """Sent by hand is what the plan says: each statement once and in order, and a write for each load."""
    session = Session.open(make_project(tmp_path / "project", shipped_source()))
    plan = session.compile()
    script = rehearse(plan, session.root)
    wanted = [s.sql for step in plan.steps if step.kind == "sql" for s in step.statements]
    rest = iter(script)
    assert all(sql in rest for sql in wanted)
    loads = [step for step in plan.steps if step.kind == "bulk_load"]
    assert sum("read_csv(" in sql for sql in script) == len(loads)
    assert script.count("BEGIN TRANSACTION") == script.count("COMMIT") > len(loads)


def test_the_workflow_reads_parquet_where_it_is_told_to(tmp_path: Path) -> None:
    """Only the files of the source become Parquet; the vocabulary and the seeds stay as they are."""
    demo = shipped_source()
    root = make_project(tmp_path / "project", Source(demo.files, demo.vocabulary, "parquet"))
    steps = YAML(typ="safe").load((root / "workflow.yaml").read_text("utf-8"))["steps"]
    formats = {step["name"]: step["format"] for step in steps if step["kind"] == "bulk_load"}
    assert formats == {"seed": "csv", "seed_source": "csv", "source": "parquet"}
    source = next(step for step in steps if step["name"] == "source")
    assert {Path(table["file"]).suffix for table in source["tables"].values()} == {".parquet"}


def test_a_benchmark_that_breaks_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 0 whatever happens, and the output says what broke."""
    monkeypatch.setattr("tools.bench.help.measure", lambda options: 1 / 0)
    assert main(["help", "--quick"]) == 0
    assert "failed" in capsys.readouterr().out
