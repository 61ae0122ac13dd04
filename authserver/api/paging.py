"""Lists in pages. A cursor says where the next page begins, and only this server can write one.

It is bound to the list and to what the list was asked for; edited, of another list or of another server it is refused.
"""

import hmac
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import orjson

from authserver.api.errors import CURSOR
from authserver.api.operation import Call
from authserver.crypto import b64, same
from authserver.oauth.errors import InvalidRequest
from authserver.oauth.request import Answer, json_answer

T = TypeVar("T")
Fetch = Callable[[str, int], Sequence[T]]

_USUAL: Final = 50
_TAG: Final = 16  # bytes of the HMAC


def page(
    call: Call, name: str, fetch: Fetch[T], key: Callable[[T], str], show: Callable[[T], Mapping[str, Any]]
) -> Answer:
    """Answer a page of what ``fetch`` (after which key, how many) finds, and the cursor of the next one if any."""
    most, cursor = call.given.get("limit", _USUAL), call.given.get("cursor")
    found = fetch("" if cursor is None else _read(call, cursor), most + 1)
    body: dict[str, Any] = {name: [show(entry) for entry in found[:most]]}
    if len(found) > most:
        body["next_cursor"] = _write(call, key(found[most - 1]))
    return json_answer(200, body)


def among(entries: Sequence[T], key: Callable[[T], str]) -> Fetch[T]:
    """Return the ``fetch`` of a list that is not long."""
    ordered = sorted(entries, key=key)
    return lambda after, most: [entry for entry in ordered if key(entry) > after][:most]


def _write(call: Call, after: str) -> str:
    return b64(_tag(call, after.encode()) + after.encode())


def _read(call: Call, cursor: str) -> str:
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise InvalidRequest(CURSOR) from None
    tag, after = raw[:_TAG], raw[_TAG:]
    # Written again, so that there is one spelling only (RFC 4648 3.5).
    if b64(raw) != cursor or not same(tag, _tag(call, after)):
        raise InvalidRequest(CURSOR)
    return after.decode()


def _tag(call: Call, after: bytes) -> bytes:
    asked = {name: value for name, value in call.given.items() if name not in {"cursor", "limit"}}
    about = orjson.dumps([call.operation.path, asked], option=orjson.OPT_SORT_KEYS)
    return hmac.digest(call.sealer.derive("management-cursor"), about + b"\0" + after, "sha256")[:_TAG]
