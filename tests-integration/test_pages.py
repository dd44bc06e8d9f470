"""The pages that a reader follows step by step, followed; the runner that follows them; the site's navigation."""

import re
from pathlib import Path

import pytest
from page import Follower, PageError
from ruamel.yaml import YAML
from small_project import ROOT

DOCS = ROOT / "docs"
FOLLOWED = [
    "another-engine.md",
    "tutorial.md",
    "bring-your-own-source.md",
    "explain.md",
    "python.md",
    "rule-tests.md",
    "runs.md",
    "vocabulary.md",
]


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_page_can_be_followed(name: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Every file, command, query and output of the page is as it says; `--update-golden` rewrites the outputs."""
    update = bool(pytestconfig.getoption("--update-golden"))
    Follower(DOCS / name, tmp_path, update=update).follow()


def page(tmp_path: Path, text: str) -> Follower:
    """A reader of a page with this text, in a new folder."""
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    return Follower(path, folder)


def test_files_commands_edits_python_and_sql_follow_each_other(tmp_path: Path) -> None:
    """A page's blocks act on one folder, and a `cd` lasts."""
    follower = page(
        tmp_path,
        '```yaml title="in/a.yaml"\nb: 1\nc: 2\n```\n'
        '```diff title="in/a.yaml"\n b: 1\n-c: 2\n+c: 3\n```\n'
        "```console\n$ cd in\n$ cat \\\n> a.yaml\nb: 1\nc: 3\n```\n"
        "<!-- exits with 3 -->\n```console\n$ exit 3\n```\n"
        "<!-- not run -->\n```console\n$ exit 4\n```\n"
        "```python\nimport duckdb, pathlib\nx = 1\n"
        "with duckdb.connect('omop.duckdb') as db: db.execute('create table t as select 7 i')\n```\n"
        "```python\nprint(x, pathlib.Path('a.yaml').exists())\n```\n```text\n1 True\n```\n"
        "```sql\nfrom t\n```\n```text\n┌─┐\n│ i │\n│ int32 │\n├─┤\n│ 7 │\n└─┘\n```\n",
    )
    follower.follow()
    assert follower.folder.name == "in"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```console\n$ echo a\nb\n```\n", r"page.md:3: echo a\n(.*\n)*-b\n\+a"),
        ("```console\n$ false\n```\n", "exit code 1, not 0"),
        ('```txt title="a"\nx\nx\n```\n```diff title="a"\n-x\n+y\n```\n', "2 places of a"),
        ("```python\nprint(1)\n```\n```text\n2\n```\n", "-2\n\\+1"),
    ],
    ids=["output", "exit code", "edit", "python"],
)
def test_what_is_not_as_the_page_says_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    """The error names the line of the page and shows both."""
    with pytest.raises(PageError, match=message):
        page(tmp_path, text).follow()


def test_an_output_may_leave_out_what_differs(tmp_path: Path) -> None:
    """`…` stands for the rest of a line or for lines; times and hashes are not compared."""
    text = "```console\n$ printf 'a 1.23 s\\nb\\nc\\nd 598ea2198cb4 e\\n'\na   0.10 s\n…\nd 111111111abc …\n```\n"
    page(tmp_path, text).follow()


def test_an_update_writes_down_what_came_out(tmp_path: Path) -> None:
    """Only outputs that are wrong are replaced."""
    follower = page(tmp_path, "```console\n$ echo a\n…\n$ echo b\nwrong\n\n$ echo c\nlines\nlines\n```\nend\n")
    follower.update = True
    follower.follow()
    text = follower.page.read_text(encoding="utf-8")
    assert text == "```console\n$ echo a\n…\n$ echo b\nb\n\n$ echo c\nc\n```\nend\n"


def _pages(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    items = nav.values() if isinstance(nav, dict) else nav
    return [page for item in items for page in _pages(item)]


def test_every_page_is_in_the_navigation() -> None:
    """mkdocs.yml names each page of docs/ once; the list of decisions names each decision."""
    config = YAML(typ="safe", pure=True).load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    decisions = {page for page in pages if page.startswith("decisions/0")}
    assert sorted(_pages(config["nav"])) == sorted(pages - decisions)
    listed = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    assert [page for page in sorted(decisions) if f"({Path(page).name})" not in listed] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_pages_outside_the_site_lead_somewhere(name: str) -> None:
    """What the repository's own pages link to is there; the site's pages are checked when it is built."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text(encoding="utf-8"))
    here = [link for link in links if "://" not in link]
    assert here
    assert [link for link in here if not (ROOT / link).exists()] == []


def test_an_update_keeps_what_a_page_leaves_out(tmp_path: Path) -> None:
    """Numbers are the new ones, `…` stays, and an output with other words is written whole."""
    follower = page(
        tmp_path,
        "```console\n$ printf 'a 12\\nb 3\\nc 4\\n'\na 7\n…\nc 5\n"
        "$ printf 'a 1\\nb 2\\n'\n…\nx 1\n"
        "$ printf 'a 1\\nb 2\\nc 3\\n'\na 2\nc 3\n…\n```\n",
    )
    follower.update = True
    follower.follow()
    updated = follower.page.read_text(encoding="utf-8")
    assert "a 12\n…\nc 4\n$" in updated
    assert "\na 1\nb 2\n$" in updated
    assert updated.endswith("\na 1\nb 2\nc 3\n```\n")
