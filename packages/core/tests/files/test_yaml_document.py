"""Promises of the YAML reader: values, positions, and what it refuses."""

from __future__ import annotations

import resource
import time

import pytest

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError
from omopcloudetl.core.files import yaml_document
from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.files.yaml_limits import MAX_BYTES, MAX_DEPTH

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.fixture(params=["fast", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two parsers: the fast one in C, if it is there, and the one that is always there."""
    if request.param == "python":
        monkeypatch.setattr(yaml_document, "is_fast", lambda text: False)
    return str(request.param)


def refusal(text: str) -> Diagnostic:
    """The one mistake in a text."""
    with pytest.raises(ProjectError) as caught:
        parse_yaml("f.yaml", text)
    (found,) = caught.value.diagnostics
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("no", "no", id="no-is-text"),
        pytest.param("on", "on", id="on-is-text"),
        pytest.param("Yes", "Yes", id="yes-is-text"),
        pytest.param("true", True, id="true"),
        pytest.param("False", False, id="false"),
        pytest.param("null", None, id="null"),
        pytest.param("~", None, id="tilde"),
        pytest.param("", None, id="nothing"),
        pytest.param("8507", 8507, id="integer"),
        pytest.param("-3", -3, id="negative"),
        pytest.param("1.5", 1.5, id="float"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param("0x1F", 31, id="hexadecimal"),
        pytest.param("2020-01-31", "2020-01-31", id="a-date-stays-text"),
        pytest.param("1:30", "1:30", id="no-base-60"),
        pytest.param("'007'", "007", id="quoted-digits"),
        pytest.param("=", "=", id="equals-sign"),
        pytest.param("!!str 5", "5", id="str-tag"),
        pytest.param("é😀", "é😀", id="unicode"),
    ],
)
def test_a_scalar_is_read_as_yaml_1_2_reads_it(parser: str, text: str, value: object) -> None:
    """A plain value has the type that YAML 1.2 gives it, and no more than that."""
    found = parse_yaml("f.yaml", f"key: {text}").data["key"]
    assert (found, type(found)) == (value, type(value))


def test_a_directive_does_not_bring_back_yaml_1_1(parser: str) -> None:
    """A file that says it is YAML 1.1 has no other booleans than any file."""
    assert parse_yaml("f.yaml", "%YAML 1.1\n---\na: no\nb: on\n").data == {"a": "no", "b": "on"}


def test_keys_are_the_text_that_was_written(parser: str) -> None:
    """A key is text, whatever it looks like, so that codes keep their zeros."""
    data = parse_yaml("f.yaml", "{1: a, true: b, null: c, 1.50: d, 007: e, no: f}").data
    assert list(data) == ["1", "true", "null", "1.50", "007", "no"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\n\n"], ids=["empty", "comment", "dashes", "lines"])
def test_an_empty_file_holds_nothing(text: str) -> None:
    """A file without a value is no error to the reader."""
    assert parse_yaml("f.yaml", text).data is None


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    """What Windows puts before a text is not read."""
    assert parse_yaml("f.yaml", "\ufeffa: 1").data == {"a": 1}


def test_every_key_and_value_has_its_position(parser: str) -> None:
    """Lines and columns count from 1 and point to the value, or to the key where that is asked for."""
    document = parse_yaml("f.yaml", "a: 1\nb:\n  - x\n  - c: {d: 5}\n")
    assert document.at("a") == Position("f.yaml", 1, 4)
    assert document.at("b", 1, "c", "d") == Position("f.yaml", 4, 12)
    assert document.at_key("b", 1, "c", "d") == Position("f.yaml", 4, 9)
    assert document.at_key("b", 1) == document.at("b", 1) == Position("f.yaml", 4, 5)
    assert document.at("a", "missing", 3) == document.at("a")


def test_an_empty_value_is_where_its_key_is(parser: str) -> None:
    """A value that is not written has the position of its key, not of whatever comes next."""
    assert parse_yaml("f.yaml", "a:\n\n\nb: 1\n").at("a") == Position("f.yaml", 1, 1)


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        pytest.param("a: 1\nb: 2\na: 3", "duplicate-key", (3, 1), "first in line 1", id="duplicate"),
        pytest.param("a: {b: 1, b: 2}", "duplicate-key", (1, 11), "'b'", id="duplicate-in-flow"),
        pytest.param("'1': a\n1: b", "duplicate-key", (2, 1), "'1'", id="duplicate-as-text"),
        pytest.param("a: !foo 1", "yaml-tag", (1, 4), "'!foo'", id="tag-on-scalar"),
        pytest.param("a: !foo {b: 1}", "yaml-tag", (1, 4), "'!foo'", id="tag-on-mapping"),
        pytest.param("a: !foo [1]", "yaml-tag", (1, 4), "'!foo'", id="tag-on-list"),
        pytest.param("a: !!set {x}", "yaml-tag", (1, 4), "'!!set'", id="set"),
        pytest.param("a: !!python/name:os.system x", "yaml-tag", (1, 4), "python", id="python-object"),
        pytest.param("? [a]\n: b", "yaml-key", (1, 3), "plain value", id="list-as-key"),
        pytest.param("a: &a {x: 1}\nb:\n  <<: *a", "yaml-key", (3, 3), "merge", id="merge-key"),
        pytest.param(BOMB, "yaml-too-large", None, "100,000", id="alias-bomb"),
        pytest.param("a: &a [*a]", "yaml-too-large", (1, 4), f"{MAX_DEPTH}", id="alias-to-itself"),
        pytest.param("[" * 70 + "]" * 70, "yaml-too-large", None, f"{MAX_DEPTH}", id="deep"),
        pytest.param("[" * 100_000, "yaml-too-large", None, f"{MAX_DEPTH}", id="too-deep-to-parse"),
        pytest.param("- " * 100_000 + "x", "yaml-too-large", None, f"{MAX_DEPTH}", id="deep-block"),
        pytest.param("? " * 100_000 + "x", "yaml-too-large", None, f"{MAX_DEPTH}", id="deep-keys"),
        pytest.param("{a: " * 50_000, "yaml-too-large", None, f"{MAX_DEPTH}", id="deep-mappings"),
        pytest.param("#" * (MAX_BYTES + 1), "yaml-too-large", (1, 1), "4,000,000", id="too-long"),
    ],
)
def test_what_yaml_allows_and_a_project_does_not_is_refused(
    text: str, code: str, place: tuple[int, int] | None, words: str
) -> None:
    """Duplicate keys, tags, merges and bombs are refused where they stand."""
    found = refusal(text)
    assert found.code == code
    assert words in found.message
    if place is not None:
        assert (found.position.line, found.position.column) == place


BOMBS = {
    "aliases": BOMB,
    "aliases-in-blocks": "a: &a\n- x\n- x\n"
    + "".join(f"{b}: &{b}\n" + f"- *{a}\n" * 9 for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "aliases-of-mappings": "a: &a {x: 1}\n"
    + "".join(
        f"{b}: &{b} {{{', '.join(f'k{i}: *{a}' for i in range(9))}}}\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "open-brackets": "[" * (MAX_BYTES - 1),
    "deep-mappings": "{a: " * 900_000,
    "deep-blocks": "\n".join(" " * i + "a:" for i in range(2_500)),
    "many-keys": "".join(f"k{i}: 1\n" for i in range(300_000)),
    "many-anchors": "".join(f"k{i}: &a{i} 1\n" for i in range(200_000)),
    "many-merges": "a: &a {x: 1}\n" + "b: {<<: *a}\n" * 300_000,
    "many-documents": "---\na: 1\n" * 400_000,
    "many-values-and-a-mistake": "a: [" + "x, " * 1_000_000,
    "colons": ":" * 3_900_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_costs_no_time_and_no_memory(bomb: str) -> None:
    """What is too large is refused before its nodes are made, within a fraction of a second of the processor's time."""
    text, before = BOMBS[bomb], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(ProjectError) as caught:
        parse_yaml("f.yaml", text)
    seconds = time.process_time() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert {found.code for found in caught.value.diagnostics} <= {"yaml-too-large", "yaml-syntax"}
    assert seconds < 2  # a quarter of that on a machine with nothing else to do
    assert grown < 64_000  # kilobytes


@pytest.mark.parametrize("text", ["9" * 100_000, "0x" + "f" * 100_000, "0o" + "7" * 5_000, "-" + "9" * 101])
def test_a_number_that_cannot_be_written_out_stays_text(text: str) -> None:
    """Numbers of hundreds of digits are text, so that no error that quotes them fails itself."""
    assert parse_yaml("f.yaml", f"a: {text}").data == {"a": text}


def test_many_mistakes_of_one_kind_are_told_up_to_a_hundred() -> None:
    """A file of a thousand equal keys does not become a thousand mistakes."""
    with pytest.raises(ProjectError) as caught:
        parse_yaml("f.yaml", "k: 1\n" * 1_000)
    assert len(caught.value.diagnostics) == 100


@pytest.mark.parametrize(
    ("text", "place", "words", "advice"),
    [
        pytest.param("a:\n\tb: 1\n", (2, 1), "a tab cannot indent", "tabs", id="tab"),
        pytest.param("a: 1\nb: 'x\nc: 2", (2, 4), "begins here is never closed", "close it", id="open-quote"),
        pytest.param("a: b: c", (1, 5), "mapping values", "quotes", id="colon-in-text"),
        pytest.param("a: @b", (1, 4), "cannot start any token", "quotes", id="special-character"),
        pytest.param("a: *", (1, 5), "alias", "quotes", id="star"),
        pytest.param("a: *b", (1, 4), "undefined alias 'b'", "quotes", id="unknown-alias"),
        pytest.param("a:\n  b: 1\n c: 2", (3, 2), "indentation", "line the entries up", id="indentation"),
        pytest.param("a: 1\nb\nc: 2", (2, 1), "':'", "key: value", id="no-colon"),
        pytest.param(
            "a: [x", (1, 6), "the end of the file", "close what is opened in line 1, column 4", id="open-bracket"
        ),
        pytest.param("a: 1\n---\nb: 2", (2, 1), "two documents", "---", id="two-documents"),
        pytest.param("a: 1\nb: x\x07", (2, 5), "U+0007", "remove", id="control-character"),
    ],
)
def test_a_syntax_error_says_where_and_what_to_do(text: str, place: tuple[int, int], words: str, advice: str) -> None:
    """A file that is not YAML is refused at the place, in words, with advice."""
    found = refusal(text)
    assert (found.code, found.position.line, found.position.column) == ("yaml-syntax", *place)
    assert words in found.message
    assert advice in (found.help or "")
