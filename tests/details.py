"""Types of authorization details (RFC 9396), a server that knows them, and objects of these types."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient

BANK = "https://bank.test/"
JWT_BANK = "https://jwt-bank.test/"
FILES = "https://files.test/"

PAYMENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["amount", "creditor"],
    "properties": {
        "amount": {
            "type": "object",
            "additionalProperties": False,
            "required": ["value", "currency"],
            "properties": {
                "value": {"type": "string", "pattern": "^[0-9]{1,9}\\.[0-9]{2}$"},
                "currency": {"enum": ["EUR", "NZD"]},
            },
        },
        "creditor": {"type": "string", "minLength": 1},
        "creditorIban": {"type": "string"},
        "urgent": {"type": "boolean"},
        "copies": {"type": "number"},
        "note": {"type": "string"},
    },
}
FILES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["actions"],
    "properties": {
        "actions": {"type": "array", "items": {"enum": ["read", "write", "delete"]}},
        "locations": {"type": "array", "items": {"type": "string"}},
        "datatypes": {"type": "array", "items": {"type": "string"}},
        "privileges": {"type": "array", "items": {"type": "string"}},
        "identifier": {"type": "string"},
        "filter": {"$ref": "#/$defs/filter"},
    },
    "$defs": {
        "filter": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"all": {"type": "array", "items": {"$ref": "#/$defs/filter"}}, "tag": {"type": "string"}},
        }
    },
}
TYPES: dict[str, Any] = {
    "payment": {
        "description": "Pay {amount.value} {amount.currency} to {creditor}",
        "resources": [BANK],
        "json_schema": PAYMENT_SCHEMA,
    },
    "signed_payment": {"description": "Pay {creditor}", "resources": [JWT_BANK], "json_schema": PAYMENT_SCHEMA},
    "tagged_payment": {
        "description": "Pay {amount.value}",
        "resources": [BANK],
        "json_schema": {
            **PAYMENT_SCHEMA,
            "required": ["amount"],
            "additionalProperties": {"type": "string"},
        },
    },
    "signed_files": {"description": "Work on files", "resources": [JWT_BANK], "json_schema": FILES_SCHEMA},
    "files": {
        "description": "Work on files: {actions}",
        "resources": [FILES, BANK],
        "json_schema": FILES_SCHEMA,
        "without_user": True,
    },
}
PAYMENT: dict[str, Any] = {
    "type": "payment",
    "amount": {"value": "123.50", "currency": "EUR"},
    "creditor": "Merchant A",
    "creditorIban": "DE02100100109307118603",
}
READ_AND_WRITE: dict[str, Any] = {"type": "files", "actions": ["read", "write"], "locations": [FILES]}
METADATA: dict[str, Any] = {
    "trusted": True,
    "scope": "openid profile offline_access api:read bank:read files:read",
    "authorization_details_types": sorted(TYPES),
}


@contextmanager
def running(folder: Path) -> Iterator[AuthServer]:
    """Run a server with these types: payments, also at a bank with JWTs, and files at two resources."""
    server = AuthServer(folder, authorization_details_types=TYPES)
    server.resource("https://api.test/", "api:read")
    server.resource(BANK, "bank:read", name="First Bank")
    server.resource(JWT_BANK, token_format="jwt")
    server.resource(FILES, "files:read")
    yield server
    server.close()


def changed(detail: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return an object with other members."""
    return {**copy.deepcopy(detail), **members}


def tokens_of(at: AuthServer, client: RegisteredClient, user: User, *details: Any, **parameters: Any) -> dict[str, Any]:
    """Return the token response for a request of these objects, without scope, which the user has allowed."""
    return at.tokens(client, user, **{"scope": None, "authorization_details": json.dumps(details), **parameters})


def tree(depth: int) -> dict[str, Any]:
    """Return a filter as deep as that, with the list and the object that it is in."""
    inner: dict[str, Any] = {"tag": "x"}
    for _ in range((depth - 3) // 2):
        inner = {"all": [inner]}
    return inner
