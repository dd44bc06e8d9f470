"""The JSON Schemas against every real file there is."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from small_project import ROOT

from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.json_schema import file_schema

RESOURCES = ROOT / "packages/omop-resources/src/omopcloudetl/omop_resources"
TEMPLATE = RESOURCES / "templates/synthea"


def files() -> list[tuple[str, Path]]:
    """Kind and file of everything that ships or is compared with a golden plan."""
    found = [("project", TEMPLATE / "project.yaml"), ("workflow", TEMPLATE / "workflow.yaml")]
    found += [("mapping", path) for path in sorted((TEMPLATE / "mappings").glob("*.yaml"))]
    found += [("overlay", path) for path in sorted((RESOURCES / "specifications").glob("*.yaml"))]
    golden = ROOT / "tests-integration/golden"
    return found + [("mapping", path) for path in sorted(golden.glob("*/mapping.yaml"))]


@pytest.mark.parametrize(("kind", "path"), files(), ids=[path.relative_to(ROOT).as_posix() for _, path in files()])
def test_a_right_file_is_right_for_an_editor(kind: str, path: Path) -> None:
    """No file that compiles is underlined."""
    text = path.read_text(encoding="utf-8")
    for part in text.split("\n---\n"):
        data = parse_yaml(path.name, part).data
        assert not list(Draft202012Validator(file_schema(kind)).iter_errors(data))
