"""A CDM specification as a JSON document: one table or field per line, the same facts the same bytes."""

from __future__ import annotations

import json
from functools import lru_cache

from pydantic import ValidationError

from omopcloudetl.core.errors import SpecificationError
from omopcloudetl.core.specification.models import CdmField, CdmSpecification, CdmTable


@lru_cache(maxsize=8)
def parse_document(name: str, content: bytes) -> CdmSpecification:
    """The document of a file called `name`; raises `SpecificationError`.

    The same bytes give the same facts, and nobody can change them: they are read once in a process.
    """
    try:
        specification = CdmSpecification.model_validate_json(content.decode("utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise SpecificationError(f"the specification {name} cannot be read: {where}: {first['msg']}") from None
    except UnicodeDecodeError:
        raise SpecificationError(f"the specification {name} is not UTF-8") from None
    if not any(table.primary_key_fields for table in specification.tables):
        raise SpecificationError(f"the specification {name} names no primary key")
    return specification


def format_document(specification: CdmSpecification) -> str:
    """The document, one field per line, without keys that are false or absent."""
    body = ",\n".join(_table(table) for table in specification.tables)
    return f'{{"version": {json.dumps(specification.version)}, "tables": [\n{body}\n]}}\n'


def _table(table: CdmTable) -> str:
    facts = table.model_dump(mode="json", by_alias=True, exclude={"fields"}, exclude_defaults=True)
    head = json.dumps(facts, ensure_ascii=False).removesuffix("}")
    fields = ",\n".join(f"    {_field(field)}" for field in table.fields)
    return f'  {head}, "fields": [\n{fields}\n  ]}}'


def _field(field: CdmField) -> str:
    return json.dumps(field.model_dump(mode="json", by_alias=True, exclude_defaults=True), ensure_ascii=False)
