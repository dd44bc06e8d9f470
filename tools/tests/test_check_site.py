"""What the check of a built site finds."""

from pathlib import Path

from tools.check_site import fetches, problems


def test_what_a_browser_fetches_from_elsewhere_is_found() -> None:
    """Scripts, styles and pictures of other servers; links that a reader may follow are no fetch."""
    html = (
        '<a href="https://a.example">a</a><link rel="canonical" href="https://b.example"><script src="x.js"></script>'
        '<script src="https://c.example/x.js"></script><link rel="stylesheet" href="//d.example/x.css">'
    )
    assert fetches(html) == ["https://c.example/x.js", "//d.example/x.css"]


def test_a_missing_page_is_found(tmp_path: Path) -> None:
    """Each page of the documentation has its file in the site."""
    for name in ("docs/README.md", "docs/a/README.md", "docs/a/b.md", "site/index.html", "site/a/index.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("<p>x</p>", encoding="utf-8")
    assert list(problems(tmp_path / "site", tmp_path / "docs")) == ["a/b.md is missing"]
