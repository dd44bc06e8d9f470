"""How many random files the tests of loads try."""

import os

EXAMPLES = int(os.environ.get("LOAD_EXAMPLES", "25"))
"""The default keeps the suite short; LOAD_EXAMPLES=500 looks longer."""
