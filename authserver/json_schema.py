"""JSON Schema (draft 2020-12) as an administrator writes it: checked when it is read, compiled once.

https://json-schema.org/draft/2020-12/json-schema-core

A schema lets pass whatever it does not name. What is described here are permissions, so each object has to say what
else it may have (``additionalProperties``), and each value what it is. Nothing is ever fetched: references stay inside.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_ELSEWHERE: Final = frozenset({"$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary"})
_SAYS_ITSELF: Final = frozenset({"const", "enum"})


def check(schema: Mapping[str, Any]) -> None:
    """Raise ValueError unless the schema describes one object, closed all the way down."""
    _compile(written(schema))
    definitions = schema.get("$defs", {})
    if schema.get("type") != "object" or schema.get("$schema", _DRAFT) != _DRAFT:
        raise ValueError("the schema must be of type object, in draft 2020-12")
    for node in _nodes(schema):
        if not _ELSEWHERE.isdisjoint(node) or not _is_inside(node.get("$ref"), definitions):
            raise ValueError("the schema may refer to its own $defs only")
    if not all(_is_closed(part) for part in (schema, *definitions.values())):
        raise ValueError("each value in the schema needs a type, each object additionalProperties, each array items")


def written(schema: Mapping[str, Any]) -> str:
    """Return the schema as text, for ``conforms``."""
    return json.dumps(schema, sort_keys=True)


def conforms(schema: str, value: Any) -> bool:
    """Say whether a value is as a checked schema describes it."""
    try:
        return bool(_compile(schema).is_valid(value))
    except RecursionError:
        # A definition that is nothing but itself describes nothing.
        return False


def reaches(schema: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Say whether every value that conforms has a member at this path."""
    node: Any = schema
    for name in path:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        if name not in node.get("properties", {}) or name not in node.get("required", ()):
            return False
        node = node["properties"][name]
    return True


@lru_cache(maxsize=256)
def _compile(schema: str) -> Any:
    # Imported here: who has no schemas does not wait for the library, which comes without types.
    from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped]  # noqa: PLC0415

    document = json.loads(schema)
    try:
        Draft202012Validator.check_schema(document)
    except SchemaError:
        raise ValueError("the schema is not one of JSON Schema draft 2020-12") from None
    return Draft202012Validator(document)


def _nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _nodes(part)


def _is_inside(reference: Any, definitions: Mapping[str, Any]) -> bool:
    return reference is None or (
        isinstance(reference, str) and reference in {f"#/$defs/{name}" for name in definitions}
    )


def _is_closed(schema: Any) -> bool:
    """Say whether a schema leaves nothing open: neither what a value is, nor what else is in it."""
    if not isinstance(schema, Mapping):
        return schema is False
    if "$ref" in schema or not _SAYS_ITSELF.isdisjoint(schema):
        return True
    if "type" not in schema:
        choices = schema.get("oneOf", schema.get("anyOf", ()))
        return bool(choices) and all(map(_is_closed, choices))
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    parts: list[Any] = []
    if "object" in kinds:
        rest = schema.get("additionalProperties", schema.get("unevaluatedProperties", True))
        parts += [rest, *schema.get("properties", {}).values(), *schema.get("patternProperties", {}).values()]
    if "array" in kinds:
        parts += [schema.get("items", True), *schema.get("prefixItems", ())]
    return all(map(_is_closed, parts))
