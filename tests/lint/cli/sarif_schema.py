"""The part of SARIF 2.1.0 that gradlint writes, as a JSON schema that allows nothing else.

Names, required properties, ranges and enumerations are those of the standard (OASIS SARIF 2.1.0, section 3), so what is
valid here is valid there. The official schema is not in any package; a file of it is used where SARIF_SCHEMA names one.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
NUMBER: Final[Schema] = {"type": "integer", "minimum": 1}
LEVEL: Final[Schema] = {"enum": ["none", "note", "warning", "error"]}


def strict(required: str = "", **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def array(items: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


MESSAGE: Final = strict("text", text=TEXT)
HELP: Final = strict("text", text=TEXT, markdown=TEXT)
TAGS: Final = {**strict(tags={**array(TEXT), "uniqueItems": True}), "additionalProperties": TEXT}
ARTIFACT: Final = strict("uri uriBaseId", uri={"type": "string", "format": "uri-reference"}, uriBaseId=TEXT)
REGION: Final = strict("startLine", startLine=NUMBER, startColumn=NUMBER, endLine=NUMBER, endColumn=NUMBER)
LOCATION: Final = strict(
    "physicalLocation",
    id={"type": "integer", "minimum": -1},
    message=MESSAGE,
    physicalLocation=strict("artifactLocation region", artifactLocation=ARTIFACT, region=REGION),
    logicalLocations={**array(strict("name", name=TEXT, kind=TEXT)), "uniqueItems": True},
)
FIX: Final = strict(
    "artifactChanges",
    description=MESSAGE,
    artifactChanges=array(
        strict(
            "artifactLocation replacements",
            artifactLocation=ARTIFACT,
            replacements=array(
                strict("deletedRegion", deletedRegion=REGION, insertedContent=strict("text", text=TEXT)), least=1
            ),
        ),
        least=1,
    ),
    properties=TAGS,
)
RESULT: Final = strict(
    "ruleId ruleIndex message locations partialFingerprints",
    ruleId=TEXT,
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    message=MESSAGE,
    locations=array(LOCATION, least=1),
    relatedLocations={**array(LOCATION), "uniqueItems": True},
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    fixes={**array(FIX), "uniqueItems": True},
    properties=TAGS,
)
RULE: Final = strict(
    "id help",
    id=TEXT,
    name=TEXT,
    shortDescription=HELP,
    fullDescription=HELP,
    help=HELP,
    defaultConfiguration=strict(enabled={"type": "boolean"}, level=LEVEL),
    properties=TAGS,
)
RUN: Final = strict(
    "tool results columnKind",
    tool=strict(
        "driver",
        driver=strict("name", name=TEXT, version=TEXT, rules={**array(RULE), "uniqueItems": True}),
    ),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    originalUriBaseIds={"type": "object", "additionalProperties": strict(description=MESSAGE)},
    results=array(RESULT),
)
LOG: Final = {
    **strict("version runs", version={"const": "2.1.0"}, runs=array(RUN)),
    "$schema": "https://json-schema.org/draft/2020-12/schema",
}
LOG["properties"]["$schema"] = TEXT
