"""Follows a page of the documentation as a reader would: writes its files, types its commands, compares what comes out.

What a fenced block of a page is to the runner:

- any language with `title="path"`: the file of that path, below the current folder.
- `diff` with `title="path"`: an edit of that file; its `-` and context lines must be in it exactly once.
- `console`: each line after `$ ` is a command (`> ` continues it), what follows is its output, if it is shown.
- `sql`: a query of the project's database, with the `text` block after it as the result, as DuckDB shows it.
- `python`: statements, all in one namespace, with the `text` block after them as what they print.

A comment above a block changes that: `<!-- not run -->`, `<!-- exits with 2 -->`, `<!-- database: file -->`
(where `sql` asks from here on; `omop.duckdb` at first). In an output `…` stands for the rest of a line, or alone
for any lines; times, hashes and run ids may differ, and so may the width of columns. Progress lines are left out, as
on a terminal.
"""

import contextlib
import difflib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

FENCE = re.compile(r"^( *)(`{3,})(\w*)(.*)$")
TITLE = re.compile(r'title="([^"]+)"')
NOTE = re.compile(r"^ *<!-- (.*?) -->$")
PROGRESS = re.compile(r"^\[ *\d+/\d+\] .*\n", re.MULTILINE)
TERMINAL = {"COLUMNS": "100", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
ALIKE = (  # what differs from run to run, and what it is compared as
    (re.compile(r"\b\d{8}T\d{6}-[0-9a-f]{6}\b"), "RUN"),
    (re.compile(r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,64}\b"), "HASH"),
    (re.compile(r"\b\d+(\.\d+)? m?s\b"), "TIME"),
    (re.compile(r"─+"), "─"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r" $", re.MULTILINE), ""),
)


class PageError(AssertionError):
    """The page says what is not so."""


@dataclass(frozen=True)
class Block:
    """A fenced block: `line` is the number of its first line of text, counted from 0."""

    language: str
    title: str | None
    note: str
    line: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """What is between the fences."""
        return "".join(f"{line}\n" for line in self.lines)


def read_blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    lines, blocks, note, start = page.splitlines(), [], "", 0
    while start < len(lines):
        opening = FENCE.match(lines[start])
        if opening is None:
            found = NOTE.match(lines[start])
            note = found[1] if found else note if not lines[start].strip() else ""
            start += 1
            continue
        indent, fence, language, rest = opening.groups()
        end = next(i for i in range(start + 1, len(lines)) if lines[i].strip() == fence)
        title = TITLE.search(rest)
        body = tuple(line.removeprefix(indent) for line in lines[start + 1 : end])
        blocks.append(Block(language, title[1] if title else None, note, start + 1, body))
        note, start = "", end + 1
    return blocks


def alike(text: str) -> str:
    """The text without what may differ from run to run."""
    for pattern, replacement in ALIKE:
        text = pattern.sub(replacement, text)
    return text.strip("\n")


def matches(expected: str, actual: str) -> bool:
    """Whether an output is what a page shows, where `…` stands for anything."""
    pattern = ""
    for line in alike(expected).split("\n"):
        anything = line.strip() == "…"
        pattern += r"(?:.*\n)*" if anything else re.escape(line).replace("…", ".*") + "\n"
    return re.fullmatch(pattern, alike(actual) + "\n") is not None


def abridged(shown: list[str], found: str) -> list[str]:
    """An output as it came out, without the lines that a page leaves out, as far as the others are found again."""
    actual = found.strip("\n").split("\n")
    if "…" not in (line.strip() for line in shown):
        return actual
    kept, after = [], 0
    for line in shown:
        alone = line.strip() == "…"
        same = [i for i in range(after, len(actual)) if _is_like(line, actual[i])]
        if not alone and not same:
            return actual
        kept.append(line if alone or "…" in line else actual[same[0]])
        after = after if alone else same[0] + 1
    return kept if matches("\n".join(kept), found) else actual


def _is_like(shown: str, found: str) -> bool:
    """Whether a line that came out is the one that a page shows, apart from its numbers."""
    same = (re.sub(r"[\d,.\s]+", " ", line) for line in (shown, found))
    return matches(shown, found) or len(set(same)) == 1


def split_commands(block: Block) -> Iterator[tuple[int, str, list[str]]]:
    """The commands of a console block: the line after each, the command, the output that is shown."""
    starts = [i for i, line in enumerate(block.lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        command, after = [block.lines[start][2:]], start + 1
        while after < end and block.lines[after].startswith("> "):
            command.append(block.lines[after][2:])
            after += 1
        yield block.line + after, "\n".join(command), list(block.lines[after:end])


@dataclass
class Follower:
    """A reader who follows one page in one folder."""

    page: Path
    folder: Path
    database: str = "omop.duckdb"
    update: bool = False
    names: dict[str, object] = field(default_factory=dict)
    """What the page's Python has defined so far."""
    changes: list[tuple[int, int, list[str]]] = field(default_factory=list)
    """First line, number of lines, and what stands there after an update."""

    def follow(self) -> None:
        """Do everything the page says, in order; with `update`, write down what came out."""
        text = self.page.read_text(encoding="utf-8")
        blocks = read_blocks(text)
        for block, after in zip(blocks, [*blocks[1:], None], strict=True):
            if block.note.startswith("database: "):
                self.database = block.note.removeprefix("database: ")
            if block.note != "not run":
                self._take(block, after if after and (after.language, after.title) == ("text", None) else None)
        if self.changes:
            lines = text.splitlines()
            for first, count, replacement in reversed(self.changes):
                lines[first : first + count] = replacement
            self.page.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _take(self, block: Block, result: Block | None) -> None:
        if block.language == "diff" and block.title:
            self._edit(block, self.folder / block.title)
        elif block.title:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for line, command, shown in split_commands(block):
                self._compare(line, command, shown, self._type(block, command))
        elif block.language in {"sql", "python"}:
            found = self._ask(block.text) if block.language == "sql" else self._execute(block)
            if result is not None:
                self._compare(result.line, block.text, list(result.lines), found)

    def _fail(self, line: int, message: str) -> None:
        raise PageError(f"{self.page.name}:{line + 1}: {message}")

    def _compare(self, line: int, what: str, shown: list[str], found: str) -> None:
        expected = "\n".join(shown)
        if not shown or matches(expected, found):
            return
        if not self.update:
            wanted, got = alike(expected).split("\n"), alike(found).split("\n")
            difference = "\n".join(difflib.unified_diff(wanted, got, "the page", "what came out", lineterm="", n=99))
            self._fail(line, f"{what.strip()}\n{difference}")
        gap = [""] if shown[-1] == "" else []  # before the next command
        self.changes.append((line, len(shown), [*abridged(shown, found), *gap]))

    def _edit(self, block: Block, path: Path) -> None:
        old = "".join(f"{line[1:]}\n" for line in block.lines if line[:1] != "+")
        new = "".join(f"{line[1:]}\n" for line in block.lines if line[:1] != "-")
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            self._fail(block.line, f"{text.count(old)} places of {block.title} have these lines:\n{old}")
        path.write_text(text.replace(old, new), encoding="utf-8")

    def _type(self, block: Block, command: str) -> str:
        """Run a command as in an activated environment; a `cd` lasts."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OMOPCLOUDETL_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as place:
            done = subprocess.run(
                ["bash", "-c", f"trap 'pwd >\"$PAGE_FOLDER\"' EXIT\n{command}"],
                cwd=self.folder,
                env=kept | TERMINAL | {"PATH": path, "PAGE_FOLDER": place.name},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                timeout=300,
                check=False,
            )
            self.folder = Path(place.read().strip())
        code = int(block.note.removeprefix("exits with ")) if block.note.startswith("exits with ") else 0
        if done.returncode != code:
            self._fail(block.line, f"exit code {done.returncode}, not {code}: {command}\n{done.stdout}")
        return PROGRESS.sub("", done.stdout)

    def _ask(self, query: str) -> str:
        with duckdb.connect(str(self.folder / self.database), read_only=True) as connection:
            return str(connection.sql(query))

    def _execute(self, block: Block) -> str:
        printed = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            exec(compile("\n" * block.line + block.text, str(self.page), "exec"), self.names)
        return printed.getvalue()
