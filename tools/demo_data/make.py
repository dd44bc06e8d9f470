"""Start the maker from a checkout: `python tools/demo_data/make.py --patients 100 --out DIR`."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    """Make the project's root importable, then do what the command line asks for."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tools.demo_data.maker import main as make

    return make()


if __name__ == "__main__":
    raise SystemExit(main())
