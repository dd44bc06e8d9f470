"""Several malformed projects in one: a mistake that hides others, or leaves half a project, makes nothing fail."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malformed_project import BASE, Case, read_cases, snapshot

from omopcloudetl.core.session import check_project

# The default keeps the suite short; TOGETHER_EXAMPLES=5000 looks longer.
EXAMPLES = int(os.environ.get("TOGETHER_EXAMPLES", "12"))
# Files that take a second each to refuse, and links, which cannot be made twice.
CASES = [case for case in read_cases() if case.expect and not (case.repeat or case.link or case.options or case.folder)]


def add(case: Case, root: Path) -> None:
    """Change a project as a case does, as far as what it changes is still there."""
    for name, changes in case.edit.items():
        file = root / name
        content = file.read_bytes() if file.is_file() else b""
        for old, new in changes.items():
            content = content.replace(old.encode(), new.encode(), 1)
        if content:
            file.write_bytes(content)
    for name in case.remove:
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    contents = {name: text.encode() for name, text in case.write.items()}
    contents |= {name: text.encode("latin-1") for name, text in case.bytes.items()}
    for name, data in contents.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="TOGETHER_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cases=st.lists(st.sampled_from(CASES), min_size=2, max_size=4, unique_by=lambda case: case.name))
def test_mistakes_together_are_diagnostics_too(cases: Sequence[Case], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever mistakes meet, each diagnostic has a way out, a place that JSON can hold, and no file is made."""
    root = tmp_path_factory.mktemp("together") / "project"
    shutil.copytree(BASE, root)
    try:
        for case in cases:
            add(case, root)
        before = snapshot(root)
        found = check_project(root).diagnostics
        assert [d for d in found if not (d.help or d.allowed or d.suggestion)] == []
        json.dumps([d.to_json() for d in found], ensure_ascii=False).encode()
        assert snapshot(root) == before
    finally:
        shutil.rmtree(root.parent)
