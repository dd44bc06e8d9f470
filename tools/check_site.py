"""Checks a built site: every page of docs/ is there, and no page makes a browser fetch anything from another server."""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
NOT_FETCHED = {"canonical", "next", "prev"}


class _Fetches(HTMLParser):
    """Collects the addresses that a browser fetches by itself; a link that a reader follows is none."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        address = values.get(FETCHED.get(tag, "")) or ""
        if values.get("rel") not in NOT_FETCHED and address.startswith(("http:", "https:", "//")):
            self.found.append(address)


def fetches(html: str) -> list[str]:
    """The addresses on other servers that a page loads."""
    parser = _Fetches()
    parser.feed(html)
    return parser.found


def problems(site: Path, docs: Path) -> Iterator[str]:
    """What is wrong with the site."""
    for page in sorted(docs.rglob("*.md")):
        name = "index.html" if page.name == "README.md" else f"{page.stem}.html"
        built = site / page.relative_to(docs).with_name(name)
        if not built.is_file():
            yield f"{page.relative_to(docs)} is missing"
    for built in sorted(site.rglob("*.html")):
        for address in fetches(built.read_text(encoding="utf-8")):
            yield f"{built.relative_to(site)} loads {address}"


def main(site: str) -> int:
    """Print what is wrong; returns the exit code."""
    found = list(problems(Path(site), ROOT / "docs"))
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
