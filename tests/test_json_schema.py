"""Schemas of an administrator: closed, self-contained, and compiled once."""

from typing import Any

import pytest

from authserver import json_schema
from authserver.settings import SettingsError, load_settings

TEXT = {"type": "string"}


def _object(properties: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties or {}, **members}


GOOD: list[dict[str, Any]] = [
    _object(),
    _object({"a": TEXT}, required=["a"]),
    _object({"a": {"enum": [1, 2]}, "b": {"const": {"any": "thing"}}, "c": {"type": ["string", "null"]}}),
    _object({"a": {"type": "array", "items": TEXT}}),
    _object({"a": {"type": "array", "prefixItems": [TEXT], "items": False}}),
    _object({"a": {"oneOf": [TEXT, _object({"b": TEXT})]}}),
    _object({"a": {"$ref": "#/$defs/a"}}, **{"$defs": {"a": _object({"again": {"$ref": "#/$defs/a"}})}}),
    {"type": "object", "unevaluatedProperties": False, "properties": {"a": TEXT}},
    {"type": "object", "additionalProperties": TEXT, "patternProperties": {"^x-": {"type": "number"}}},
    _object(
        {"type": TEXT, "pattern": TEXT, "items": TEXT}, **{"$schema": "https://json-schema.org/draft/2020-12/schema"}
    ),
]
BAD: list[dict[str, Any]] = [
    {},
    {"type": "string"},
    {"type": ["object"], "additionalProperties": False},
    {"type": "object"},
    {"type": "object", "additionalProperties": True},
    {"type": "object", "additionalProperties": {}},
    {"type": "object", "unevaluatedProperties": True},
    _object({"a": {}}),
    _object({"a": True}),
    _object({"a": {"minLength": 1}}),
    _object({"a": {"type": "object"}}),
    _object({"a": {"type": ["string", "object"]}}),
    _object({"a": {"type": "array"}}),
    _object({"a": {"type": "array", "items": {}}}),
    _object({"a": {"type": "array", "prefixItems": [{}], "items": False}}),
    _object({"a": {"oneOf": [TEXT, {}]}}),
    _object({"a": {"anyOf": [{"type": "object"}]}}),
    _object(patternProperties={"^x-": {}}),
    _object({"a": {"$ref": "#/$defs/a"}}, **{"$defs": {"a": {}}}),
    _object({"a": {"$ref": "#/$defs/a"}}),
    _object({"a": {"$ref": "#"}}),
    _object({"a": {"$ref": "https://schemas.test/a.json"}}),
    _object({"a": {"$dynamicRef": "#a"}}),
    _object({"a": {"type": "string", "$id": "https://schemas.test/a.json"}}),
    _object(**{"$schema": "http://json-schema.org/draft-07/schema#"}),
    _object({"a": {"type": "text"}}),
    _object({"a": {"type": "string", "pattern": "("}}),
    _object(patternProperties={"(": TEXT}),
    _object(properties={"a": "string"}),
]


@pytest.mark.parametrize("schema", GOOD)
def test_a_closed_schema_is_taken(schema: dict[str, Any]) -> None:
    json_schema.check(schema)


@pytest.mark.parametrize("schema", BAD)
def test_a_schema_that_leaves_something_open_or_elsewhere_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="schema"):
        json_schema.check(schema)


def test_values_conform_or_do_not() -> None:
    text = json_schema.written(_object({"a": TEXT}, required=["a"]))
    assert json_schema.conforms(text, {"a": "x"})
    assert not any(json_schema.conforms(text, value) for value in ({}, {"a": 1}, {"a": "x", "b": 1}, [], "a", None))


def test_nothing_conforms_to_a_definition_that_is_only_itself() -> None:
    loop = _object({"a": {"$ref": "#/$defs/a"}}, **{"$defs": {"a": {"$ref": "#/$defs/a"}}})
    json_schema.check(loop)
    assert not json_schema.conforms(json_schema.written(loop), {"a": 1})


def test_a_path_is_reached_where_all_its_members_are_required() -> None:
    inner = _object({"b": TEXT, "c": TEXT}, required=["b"])
    schema = _object({"a": {"$ref": "#/$defs/a"}, "d": TEXT}, required=["a"], **{"$defs": {"a": inner}})
    assert json_schema.reaches(schema, ("a", "b"))
    assert not any(json_schema.reaches(schema, path) for path in (("d",), ("a", "c"), ("x",), ("a", "b", "x")))


def _types(**changes: Any) -> dict[str, Any]:
    kind = {"description": "Do {a}", "resources": ["https://api.test/"], "json_schema": GOOD[1], **changes}
    return {"thing": {name: value for name, value in kind.items() if value is not None}}


def _load(types: dict[str, Any]) -> Any:
    return load_settings(development=True, authorization_details_types=types).authorization_details_types["thing"]


def test_a_schema_may_be_in_a_file(tmp_path: Any) -> None:
    file = tmp_path / "thing.json"
    file.write_text('{"type": "object", "additionalProperties": false}')
    kind = _load(_types(description="Do it", json_schema=None, json_schema_file=file))
    assert json_schema.conforms(kind.schema_text, {})
    for text in ("[]", "{", '{"type": "object"}', ""):
        file.write_text(text)
        with pytest.raises(SettingsError, match="AUTHORIZATION_DETAILS_TYPES__THING"):
            _load(_types(description="Do it", json_schema=None, json_schema_file=file))


@pytest.mark.parametrize(
    "changes",
    [
        {"description": ""},
        {"description": "Do {b}"},
        {"description": "Do {a.b}"},
        {"resources": []},
        {"json_schema": None},
        {"json_schema": BAD[3]},
        {"json_schema_file": "/nowhere.json"},
        {"colour": "red"},
    ],
)
def test_a_type_with_a_mistake_is_named_at_the_start(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="AUTHORIZATION_DETAILS_TYPES__THING"):
        _load(_types(**changes))
