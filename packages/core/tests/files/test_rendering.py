"""Promises of the text that shows diagnostics: the offending piece is underlined, whatever stands around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from omopcloudetl.core.errors import Diagnostic, Position
from omopcloudetl.core.files.rendering import render_diagnostics
from omopcloudetl.core.files.spans import Sources


def shown(root: Path, text: str | bytes, diagnostic: Diagnostic, width: int = 100) -> list[str]:
    """The lines that show one diagnostic about a file of this text."""
    path = root / diagnostic.position.file
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return render_diagnostics([diagnostic], root, width=width).splitlines()


def about(line: int, column: int, *, file: str = "a.yaml", found: str | None = None) -> Diagnostic:
    """A diagnostic at a place."""
    return Diagnostic("some-code", "this is wrong", Position(file, line, column), found=found)


def test_the_whole_of_a_diagnostic_is_shown(tmp_path: Path) -> None:
    """Code, message, place, line, mark, close match, what is allowed, and what to do, in this order."""
    diagnostic = Diagnostic(
        "unknown-key", "unknown key 'nmae'", Position("a.yaml", 2, 1), "error", "nmae", ("name",), "name", "mend it"
    )
    assert shown(tmp_path, "kind: x\nnmae: y\n", diagnostic) == [
        "error[unknown-key]: unknown key 'nmae'",
        " --> a.yaml:2:1",
        "  |",
        "2 | nmae: y",
        "  | ^^^^",
        "  = did you mean: name?",
        "  = allowed: name",
        "  = help: mend it",
        "",
        "1 error in 1 file",
    ]


@pytest.mark.parametrize(
    ("text", "column", "found", "marked"),
    [
        pytest.param("a: b c", 4, None, "b c", id="plain-to-its-end"),
        pytest.param("a: 'b c' # d", 4, None, "'b c'", id="quoted"),
        pytest.param("a: {b: c.dd + 1, e: f}", 8, "dd", "dd", id="word-in-an-expression"),
        pytest.param("a: ddd + dd", 4, "dd", "dd", id="whole-words-only"),
        pytest.param("a: [b, cc]", 8, None, "cc", id="entry-of-a-list"),
        pytest.param("aa: b", 1, None, "aa", id="key"),
        pytest.param("a: \t b", 6, None, "b", id="after-a-tab"),
        pytest.param("a: {b: [c, d], e: f} # g", 4, None, "{b: [c, d], e: f}", id="collection"),
        pytest.param("a: {b: c, d: b}", 4, "b", "{b: c, d: b}", id="ambiguous-in-a-collection"),
        pytest.param("a: {b: c, d: e}", 4, "e", "e", id="one-word-of-a-collection"),
        pytest.param("漢字: cc", 5, None, "cc", id="wide-letters"),
    ],
)
def test_exactly_the_offending_piece_is_marked(
    tmp_path: Path, text: str, column: int, found: str | None, marked: str
) -> None:
    """A scalar ends where YAML ends it, and a word inside an expression is marked alone."""
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    (spanned,) = Sources(tmp_path).with_spans([about(1, column, found=found)])
    assert spanned.end is not None
    assert text[spanned.position.column - 1 : spanned.end.column - 1] == marked


def test_marks_stand_below_what_they_mark(tmp_path: Path) -> None:
    """Tabs and letters of two columns move the marks as they move the text."""
    _, _, _, line, marks, *_ = shown(tmp_path, "漢: {x: \tbb}", about(1, 9))
    assert line == "1 | 漢: {x:     bb}"
    assert marks == "  | " + " " * 12 + "^^"


def test_a_long_line_is_cut_around_the_piece(tmp_path: Path) -> None:
    """No line is longer than the width, and the piece is in it."""
    text = f"a: {'x ' * 300}wrong{' y' * 300}"
    lines = shown(tmp_path, text, about(1, 4, found="wrong"), width=60)
    assert "wrong" in lines[3]
    assert max(map(len, lines)) <= 60
    assert lines[4].count("^") == 5


def test_a_credential_in_the_project_file_is_masked(tmp_path: Path) -> None:
    """The line of a mistake shows a clear-text secret beside it as a mask that does not tell its length."""
    text = "connection: {pasword_: a, password: hunter2, wrong: '${secret:X}'}"
    _, _, _, line, marks, *_ = shown(tmp_path, text, about(1, 46, file="project.yaml"))
    assert line == "1 | connection: {pasword_: a, password: ***, wrong: '${secret:X}'}"
    assert marks == "  | " + " " * 41 + "^^^^^"


def test_a_credential_that_is_itself_wrong_is_marked_as_a_mask(tmp_path: Path) -> None:
    """Marks below a masked value are as long as the mask."""
    _, _, _, line, marks, *_ = shown(tmp_path, "password: hunter2\n", about(1, 11, file="project.yaml"))
    assert (line, marks) == ("1 | password: ***", "  |           ^^^")


def test_notes_are_wrapped_at_the_width(tmp_path: Path) -> None:
    """A long list goes on below its beginning, and no word is cut."""
    words = tuple(f"word_{number}" for number in range(10))
    diagnostic = Diagnostic("c", "m", Position("a.yaml", 1, 1), allowed=words)
    lines = shown(tmp_path, "a: b", diagnostic, width=40)
    start = lines.index("  = allowed: word_0, word_1, word_2,")
    assert lines[start + 1] == " " * 13 + "word_3, word_4, word_5,"
    assert max(map(len, lines)) <= 40


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a: [", b"\x1b[31m: x"], ids=repr)
def test_a_file_that_cannot_be_read_hides_nothing(tmp_path: Path, content: bytes) -> None:
    """Without a line to show, or with one of control characters, the rest is still told."""
    lines = shown(tmp_path, content, about(1, 1, found="x"))
    assert lines[0] == "error[some-code]: this is wrong"
    assert "\x1b" not in "\n".join(lines)


def test_a_file_outside_the_project_is_not_shown(tmp_path: Path) -> None:
    """A diagnostic cannot be made to print another file."""
    (tmp_path / "secret.txt").write_text("hunter2", encoding="utf-8")
    (tmp_path / "project").mkdir()
    text = render_diagnostics([about(1, 1, file="../secret.txt")], tmp_path / "project")
    assert "hunter2" not in text
