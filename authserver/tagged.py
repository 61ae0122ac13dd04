"""Members that say the same in several languages: ``client_name`` and ``client_name#de`` (RFC 7591 2.2).

A tag is one of BCP 47. What stands under the name without a tag is said to everybody for whom there is nothing better.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from authserver import language

T = TypeVar("T")

OF_CLIENTS: Final = frozenset({"client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri"})
"""What people see of a client (RFC 7591 2.2)."""
MOST: Final = 20
"""Languages in which one member may be said."""
_TAG: Final = re.compile(r"(?=.{2,35}\Z)[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*", re.ASCII)  # RFC 5646 2.1


def untagged(name: str) -> str:
    """Return a member's name without its language tag; what is no tag belongs to the name."""
    bare, _, tag = name.partition("#")
    return bare if _TAG.fullmatch(tag) else name


def crowded(names: Iterable[str]) -> str | None:
    """Return a member that is said in too many languages, or twice in one: tags know no case (RFC 5646 2.1.1)."""
    said: dict[str, set[str]] = {}
    for name in names:
        member = untagged(name)
        if member == name:
            continue
        languages, tag = said.setdefault(member, set()), name.partition("#")[2].lower()
        if tag in languages or len(languages) == MOST:
            return member
        languages.add(tag)
    return None


def in_language(members: Mapping[str, T], name: str, tag: str) -> T | None:
    """Return what a member says in a language, else what it says without a tag.

    The language itself goes first, then a wider one that it belongs to (RFC 4647 3.4), then a narrower one.
    """
    said = {
        tagged.partition("#")[2]: value
        for tagged, value in members.items()
        if tagged.startswith(name + "#") and untagged(tagged) == name
    }
    if not said:
        return members.get(name)
    found = language.best([tag], said)
    if found is None:
        primary = tag.partition("-")[0].lower() + "-"
        found = min((other for other in said if other.lower().startswith(primary)), default=None)
    return members.get(name) if found is None else said[found]
