"""Mutated projects, YAML and SQL: whatever stands in the files, only diagnostics come out, each with a place."""

import copy
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malformed_project import BASE, snapshot

from omopcloudetl.core.errors import Diagnostic, OmopCloudEtlError, ProjectError
from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.session import check_project

# The default keeps the suite short; FUZZ_EXAMPLES=10000 looks longer.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "4"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
SECONDS = 10
TEMPLATE = Path(__file__).parent.parent / "packages/omop-resources/src/omopcloudetl/omop_resources/templates/synthea"

WORDS = (
    *("person", "p.id", "source.patients", "work.recent", "cdm.person", "dml", "table", "event", "registry", "*", "~"),
    *("", " ", "a: b", "${secret:X}", "$${", "../x", "/etc/passwd", "mappings/*", "[", "**.yaml", ":first_year"),
    *(
        "\0",
        "\ud800",
        "\ufeff",
        "\x85",
        "\u2028",
        "é",
        "\u2018x\u2019",
        "\t",
        "{{ x }}",
        "1.2.3",
        "2020-02-30",
        "C:\\x",
        "\U0001d51b",
    ),
)
SQL = (
    *("select", "from", "where", "case", "when", "then", "else", "end", "(", ")", ",", ";", "||", "=", "and", "not"),
    *("p.id", "p.born", "source.patients", "vocab.concept", "as", "cast", "'x'", "'", '"', "/*", "--", "\n", "1", "*"),
    *("max(", "row_number() over (", "interval", "date", "extract(year from", ":first_year", "?", "$1", "::", "[", "]"),
    *(
        "{",
        "}",
        "x ->",
        "lambda",
        "in",
        "is null",
        "between",
        "exists",
        "union",
        "values",
        "unnest(",
        "null",
        "try_cast(",
    ),
    *(
        "0x1F",
        "1e400",
        "@",
        "#",
        "\\",
        "\0",
        "é",
        "distinct",
        "order by",
        "limit",
        "group by",
        "filter (",
        "struct_pack(",
    ),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.sampled_from(WORDS), st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
expressions = st.lists(st.sampled_from(SQL), min_size=1, max_size=12).map(" ".join)


def paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key and entry below a value."""
    items: Sequence[tuple[Any, object]] = ()
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [found for key, inner in items for found in ((*path, key), *paths(inner, (*path, key)))]


def changed(draw: Callable[[Any], Any], data: Any) -> Any:
    """The data with one key or entry replaced, left out, doubled, renamed, nested, or with SQL in it."""
    places = paths(data)
    if not places:
        return draw(values)
    *parents, last = draw(st.sampled_from(places))
    holder = data
    for part in parents:
        holder = holder[part]
    old, name = holder[last], draw(st.sampled_from(WORDS) | st.sampled_from([str(path[-1]) for path in places]))
    match draw(st.sampled_from(("replace", "delete", "double", "rename", "nest", "sql", "swap"))):
        case "delete":
            del holder[last]
        case "double" | "rename" if isinstance(holder, list):
            holder.insert(last, old)
        case "double":
            holder[name] = old
        case "rename":
            holder[name] = holder.pop(last)
        case kind:
            holder[last] = instead(draw, kind, old, data)
    return data


def instead(draw: Callable[[Any], Any], kind: str, old: Any, data: Any) -> Any:
    """What stands in a place instead: another value, one from elsewhere, SQL, or the same one deeper."""
    match kind:
        case "nest":
            return draw(st.sampled_from(([old], {"x": old}, {"id": old}, [[old, old]])))
        case "sql":
            return f"{old} {draw(expressions)}" if isinstance(old, str) and draw(st.booleans()) else draw(expressions)
        case "swap":
            other = data
            for part in draw(st.sampled_from(paths(data))):
                other = other[part]
            return json.loads(json.dumps(other))
        case _:
            return draw(values)


def damaged(draw: Callable[[Any], Any], content: bytes) -> bytes:
    """The bytes with a piece cut, put in, doubled or turned."""
    start = draw(st.integers(0, len(content)))
    end = min(len(content), start + draw(st.integers(0, 30)))
    piece = content[start:end]
    new = draw(
        st.one_of(
            st.just(b""),
            st.binary(max_size=6),
            st.sampled_from([*WORDS, *SQL]).map(lambda word: word.encode("utf-8", "surrogatepass")),
            st.sampled_from(
                [b"\t", b"- ", b": ", b"&a ", b"*a", b"!!x ", b"\r", b"\n", b"{", b"}", b"'", b'"', b"|", b"<<: "]
            ),
            st.just(piece * 3),
            st.just(bytes(255 - byte for byte in piece)),
        )
    )
    return content[:start] + new + content[end:]


@st.composite
def mutants(draw: Callable[[Any], Any], root: Path) -> dict[str, bytes]:
    """One to three files of a project, each with a few mistakes in it."""
    base = written_by_people(root)
    found = {}
    for name in draw(st.lists(st.sampled_from(sorted(base)), min_size=1, max_size=3, unique=True)):
        content = base[name]
        if name.endswith(".yaml") and draw(st.integers(0, 2)):
            data = copy.deepcopy(parse_yaml(name, content.decode()).data)
            for _ in range(draw(st.integers(1, 3))):
                data = changed(draw, data)
            content = json.dumps(data, indent=draw(st.sampled_from((None, 2)))).encode()
        else:
            for _ in range(draw(st.integers(1, 3))):
                content = damaged(draw, content)
        found[name] = content
    return found


def written_by_people(root: Path) -> dict[str, bytes]:
    """The files of a project that a person writes."""
    ours = [path for path in sorted(root.rglob("*")) if path.suffix in {".yaml", ".sql"}]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in ours}


def assert_fit(root: Path, diagnostic: Diagnostic) -> None:
    """It has a place in a file that is there, a way out, and can be shown anywhere."""
    file = root / diagnostic.position.file
    assert diagnostic.help or diagnostic.allowed or diagnostic.suggestion, diagnostic
    json.dumps(diagnostic.to_json(), ensure_ascii=False).encode()
    assert file.is_file(), diagnostic
    lines = re.split(r"\r\n|\r|\n", file.read_bytes().decode("utf-8-sig", errors="replace"))
    assert 1 <= diagnostic.position.line <= len(lines), diagnostic
    assert 1 <= diagnostic.position.column <= len(lines[diagnostic.position.line - 1]) + 1, diagnostic
    assert "Input should" not in diagnostic.message, diagnostic


def check(root: Path, changes: Mapping[str, bytes]) -> None:
    """Check a project with some files changed, then change them back."""
    before = {name: (root / name).read_bytes() for name in changes}
    try:
        for name, content in changes.items():
            (root / name).write_bytes(content)
        files = snapshot(root)
        start = time.perf_counter()
        diagnostics: Sequence[Diagnostic] = ()
        with suppress(OmopCloudEtlError):
            diagnostics = check_project(root).diagnostics
        assert time.perf_counter() - start < SECONDS
        assert snapshot(root) == files
        for diagnostic in diagnostics:
            assert_fit(root, diagnostic)
    finally:
        for name, content in before.items():
            (root / name).write_bytes(content)


@pytest.fixture(scope="module", params=[BASE, TEMPLATE], ids=["small", "synthea"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which everything is right."""
    root = tmp_path_factory.mktemp("fuzz") / "project"
    shutil.copytree(request.param, root, ignore=shutil.ignore_patterns("data", "vocabulary"))
    return root


@fuzz
@given(data=st.data())
def test_a_mutated_project_is_told_what_is_wrong(project: Path, data: st.DataObject) -> None:
    """Nothing but diagnostics comes out, each with a place and a way out, soon, and no file is made."""
    check(project, data.draw(mutants(project)))


@pytest.fixture(scope="module")
def one_mapping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one mapping, which is checked fast."""
    root = tmp_path_factory.mktemp("one") / "project"
    shutil.copytree(
        BASE, root, ignore=shutil.ignore_patterns("data", "vocabulary", "visits.yaml", "diagnoses.yaml", "sql")
    )
    workflow = (root / "workflow.yaml").read_text()
    steps = [line for line in workflow.splitlines() if "kind: sql" not in line]
    (root / "workflow.yaml").write_text("\n".join(steps))
    return root


@fuzz
@given(sql=expressions, key=st.sampled_from(("where", "person_source_value", "year_of_birth", "person_id")))
def test_any_sql_is_read_or_told_to_be_wrong(one_mapping: Path, sql: str, key: str) -> None:
    """An expression of any words is compiled, or is a diagnostic."""
    mapping = copy.deepcopy(parse_yaml("person.yaml", (BASE / "mappings/person.yaml").read_text()).data)
    if key == "where":
        mapping["where"] = sql
    else:
        mapping["columns"][key] = {"id": sql} if key == "person_id" else sql
    check(one_mapping, {"mappings/person.yaml": json.dumps(mapping).encode()})


@settings(parent=fuzz, max_examples=10 * EXAMPLES)
@given(data=st.data())
def test_any_text_is_yaml_or_told_to_be_none(data: st.DataObject) -> None:
    """A text is read, or what is wrong is told at a line that it has."""
    base = (BASE / data.draw(st.sampled_from(["workflow.yaml", "mappings/person.yaml"]))).read_bytes()
    marks = st.text(alphabet="ab: -?[]{}'\"&*!|>%@`#,\n\t\\\0\x85\u2028é<", max_size=40)
    mutated = st.just(base).map(lambda content: damaged(data.draw, content).decode("utf-8", "replace"))
    text = data.draw(st.one_of(st.text(max_size=40), marks, mutated))
    problems: Sequence[Diagnostic] = ()
    try:
        parse_yaml("f.yaml", text)
    except ProjectError as error:
        problems = error.diagnostics
    lines = len(re.split(r"\r\n|\r|\n", text))
    assert all(1 <= found.position.line <= lines and found.help for found in problems), problems
