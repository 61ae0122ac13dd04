"""Reading parameters (RFC 6749 3.1, 3.2 and Appendix A and B), and bodies in JSON (RFC 7591 3.1).

Bodies at POST endpoints, the query at authorization by GET; UTF-8, strict; only ``&`` separates. A parameter without a
value counts as omitted (RFC 6749 3.1, 3.2). A recognised one that stands twice is refused, ``resource`` and
``audience`` aside; unknown ones are ignored. In JSON no member may stand twice.

Plugs into: both endpoints, before everything else; AUTHORIZE_CHECK.
"""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from authserver import jwt
from authserver.oauth.errors import CONTENT_TYPE, JSON_TYPE, MALFORMED, REPEATED, InvalidRequest
from authserver.oauth.request import Parameters, Request

if TYPE_CHECKING:
    from authserver.oauth.server import Server

MAX_FIELDS: Final = 100
MAY_REPEAT: Final = frozenset({"resource", "audience"})
PARAMETERS: Final = frozenset(
    {
        "grant_type",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "token",
        "token_type_hint",
    }
)
_VSCHAR: Final = re.compile(r"[\x20-\x7e]*", re.ASCII)
_FORM: Final = "application/x-www-form-urlencoded"
_DEPTH: Final = 32


def read_form(content_type: str, body: bytes, recognised: frozenset[str]) -> Parameters:
    """Read the parameters of a form body; raises InvalidRequest."""
    parameters = read_query(decode_form(content_type, body), recognised)
    if parameters.repeated:
        raise InvalidRequest(REPEATED)
    return parameters


def decode_form(content_type: str, body: bytes) -> str:
    """Return the text of a form body; raises InvalidRequest for another content type or encoding."""
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() != _FORM or (rest and not _is_utf8(rest)):
        raise InvalidRequest(CONTENT_TYPE)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(MALFORMED) from None
    # Appendix B leaves no control character unencoded.
    if "\0" in text:
        raise InvalidRequest(MALFORMED)
    return text


def read_query(text: str, recognised: frozenset[str]) -> Parameters:
    """Read the parameters of a query or decoded body; raises InvalidRequest when it is not well-formed."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise InvalidRequest(MALFORMED) from None
    parameters = Parameters({name: value for name, value in pairs if value})
    if len(parameters.data) != len(pairs) or not MAY_REPEAT.isdisjoint(parameters.data):
        _sort_out_repeats(parameters, pairs, recognised)
    return parameters


def read_json(content_type: str, body: bytes) -> dict[str, Any]:
    """Read the JSON object of a body; raises InvalidRequest."""
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() != "application/json" or (rest and not _is_utf8(rest)):
        raise InvalidRequest(JSON_TYPE)
    try:
        value = jwt.parse_object(body)
    except jwt.InvalidJWT:
        raise InvalidRequest(MALFORMED) from None
    if _is_deeper(value, _DEPTH):
        raise InvalidRequest(MALFORMED)
    return value


def single(server: "Server", request: Request) -> None:
    """Refuse a repeated parameter of an authorization request (RFC 6749 3.1)."""
    del server
    if request.payload.repeated:
        raise InvalidRequest(REPEATED)


def is_vschar(text: str) -> bool:
    """Say whether the text is printable ASCII (RFC 6749 Appendix A)."""
    return _VSCHAR.fullmatch(text) is not None


def _sort_out_repeats(parameters: Parameters, pairs: list[tuple[str, str]], recognised: frozenset[str]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        times = Counter(names)
        parameters.repeated = frozenset(name for name in recognised if times[name] > 1) - MAY_REPEAT
    parameters.lists = {
        name: tuple([value for key, value in pairs if key == name and value]) for name in MAY_REPEAT if name in names
    }


def _is_deeper(value: Any, left: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return left == 0 or any(_is_deeper(part, left - 1) for part in parts)


def _is_utf8(content_type_parameters: str) -> bool:
    name, _, value = content_type_parameters.strip().partition("=")
    return name.lower() != "charset" or value.strip('"').lower() == "utf-8"
