"""The standard claims about a person, and what each of them must be (OpenID Connect Core 1.0, 5.1, 5.1.1).

https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims

Clients read these without looking twice: a number where text should be breaks the sign-in of whoever has it. A claim in
a language (``name#de``, 5.2) must be what the one without is. Of the forms that texts have, only that of ``birthdate``
is checked; other claims are nobody's business here.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from authserver.manage.errors import ManageError
from authserver.tagged import untagged

_BIRTHDATE: Final = re.compile(r"[0-9]{4}(-[0-9]{2}-[0-9]{2})?")
_ADDRESS: Final = ("formatted", "street_address", "locality", "region", "postal_code", "country")  # 5.1.1


def check(claims: Mapping[str, Any]) -> None:
    """Check the standard claims among these; raises ManageError, which names the first that is wrong (5.1)."""
    for name, value in claims.items():
        wrong = problem(name, value)
        if wrong is not None:
            raise ManageError(wrong)


def problem(name: str, value: Any) -> str | None:
    """Return in a sentence what is wrong with a claim; None when nothing is, and for claims that are not standard."""
    kind = _KINDS.get(name) or _KINDS.get(untagged(name))
    return None if kind is None else kind(name, value)


def _text(name: str, value: Any) -> str | None:
    return None if isinstance(value, str) else f"{name} must be text"


def _flag(name: str, value: Any) -> str | None:
    return None if isinstance(value, bool) else f"{name} must be true or false"


def _number(name: str, value: Any) -> str | None:
    # To Python, true is a number.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number else f"{name} must be a number"


def _birthdate(name: str, value: Any) -> str | None:
    # 5.1: "The year MAY be 0000, indicating that it is omitted. To represent only the year, YYYY format is allowed."
    is_date = isinstance(value, str) and _is_birthdate(value)
    return None if is_date else f"{name} must be text like 1987-12-31, 0000-12-31 (without the year) or 1987"


def _is_birthdate(value: str) -> bool:
    found = _BIRTHDATE.fullmatch(value)
    if found is None or found[1] is None:
        return found is not None
    try:
        # Python knows no year 0; what stands for it has a 29th of February.
        date.fromisoformat("2000" + found[1] if value.startswith("0000") else value)
    except ValueError:
        return False
    return True


def _address(name: str, value: Any) -> str | None:
    """5.1.1: members of other names may be there, and each of its own may be missing."""
    if not isinstance(value, dict):
        return f"{name} must be an object"
    wrong = next((member for member in _ADDRESS if not isinstance(value.get(member, ""), str)), None)
    return None if wrong is None else f"{wrong} in {name} must be text"


_KINDS: Final[Mapping[str, Callable[[str, Any], str | None]]] = {
    "name": _text,
    "given_name": _text,
    "family_name": _text,
    "middle_name": _text,
    "nickname": _text,
    "preferred_username": _text,
    "profile": _text,
    "picture": _text,
    "website": _text,
    "email": _text,
    "email_verified": _flag,
    "gender": _text,
    "birthdate": _birthdate,
    "zoneinfo": _text,
    "locale": _text,
    "phone_number": _text,
    "phone_number_verified": _flag,
    "address": _address,
    "updated_at": _number,
}
