"""Turn OHDSI's CSV specification of the OMOP CDM into one JSON file of facts per version.

Usage: `python -m tools.cdm_specification.import_csv FOLDER --output FOLDER [--version 5.4 ...]`

The CSV files are those of the repository OHDSI/CommonDataModel, folder `inst/csv`; core reads them.
What is odd in the official files is reported on stderr and handled as the message says.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from omopcloudetl.core.errors import Diagnostic, OmopCloudEtlError, SpecificationError
from omopcloudetl.core.specification.documents import format_document
from omopcloudetl.core.specification.folder import read_folder, versions_in


def run(folder: Path, output: Path, wanted: Sequence[str]) -> list[Diagnostic]:
    """Import the wanted versions; nothing is written unless all of them can be read."""
    versions = wanted or versions_in(folder)
    if not versions:
        raise SpecificationError(f"{folder} holds no CDM specification")
    read = {version: read_folder(folder, version) for version in versions}
    output.mkdir(parents=True, exist_ok=True)
    for version, (specification, _) in read.items():
        (output / f"{version}.json").write_text(format_document(specification), encoding="utf-8", newline="\n")
    return [note for _, notes in read.values() for note in notes]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status: 0, or 1 when the folder is refused."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with OHDSI's CSV files")
    parser.add_argument("--output", type=Path, required=True, help="folder for the JSON files")
    parser.add_argument(
        "--version",
        action="append",
        default=[],
        dest="versions",
        help="CDM version to import, e.g. 5.4; may be repeated; default: all that are found",
    )
    options = parser.parse_args(arguments)
    try:
        notes = run(options.folder, options.output, options.versions)
    except OmopCloudEtlError as error:
        print(error, file=sys.stderr)
        return 1
    for note in notes:
        print(note, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
