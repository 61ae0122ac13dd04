"""OpenID Connect Core 1.0 section 5.3: UserInfo, for the name and e-mail that an ID token may leave out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bff.errors import TokenRefusedError
from bff.id_token import Identity, email_of, name_of
from bff.jwt import same


def completed(identity: Identity, claims: Mapping[str, Any]) -> Identity:
    """Give the identity with the name and e-mail of a UserInfo response; raises TokenRefusedError for another person's.

    Section 5.3.2: the `sub` must be the ID token's, or the response may be for a token that somebody substituted.
    """
    if not same(claims.get("sub"), identity.sub):
        raise TokenRefusedError("userinfo sub")
    return replace(identity, name=name_of(claims) or identity.name, email=email_of(claims) or identity.email)
