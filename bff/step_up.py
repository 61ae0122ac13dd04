"""Step-up authentication (RFC 9470) from the client's side: the API's demand, and whether a log-in met it.

https://www.rfc-editor.org/rfc/rfc9470. Section 3: the challenge is read. Section 4: what it names goes into a new
authorization request, and nothing else of it does. Whether the log-in met it is checked once, by the ID token, so that
no browser goes round in circles.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from bff.clock import now
from bff.id_token import Identity
from bff.jwt import LEEWAY_SECONDS

ERROR = "insufficient_user_authentication"
_MAX_CHALLENGE = 4096
_SCHEMES = frozenset({"bearer", "dpop"})
_ACR_VALUES = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*")
_MAX_ACR_VALUES = 512
_SECONDS = re.compile(r"[0-9]{1,9}")
# RFC 9110 11.2, 5.6.2 and 5.6.4: a scheme, then parameters whose values are tokens or quoted.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?=\s|,|$)")
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))')


@dataclass(frozen=True, slots=True)
class Demand:
    """What a log-in has to be: one of these classes of authentication, at most so old; one of the two is there."""

    acr_values: str | None
    max_age: int | None

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the authorization request (section 4)."""
        named = {"acr_values": self.acr_values, "max_age": None if self.max_age is None else str(self.max_age)}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def login_url(self) -> str:
        """The path at which a page begins the log-in that the API wants."""
        return f"/bff/login?{urlencode(self.parameters)}"

    def is_met_by(self, identity: Identity) -> bool:
        """Tell whether this log-in is what was demanded (OpenID Connect Core 1.0 section 3.1.3.7, 12 and 13)."""
        if self.acr_values is not None and identity.acr not in self.acr_values.split(" "):
            return False
        if self.max_age is None:
            return True
        return identity.auth_time is not None and now() - identity.auth_time <= self.max_age + LEEWAY_SECONDS


def demand(acr_values: str | None, max_age: str | None) -> Demand | None:
    """Give the demand that two parameters make; what is malformed counts as not there."""
    classes = acr_values if acr_values and len(acr_values) <= _MAX_ACR_VALUES else ""
    wanted = classes if _ACR_VALUES.fullmatch(classes) else None
    seconds = int(max_age) if max_age and _SECONDS.fullmatch(max_age) else None
    return None if wanted is None and seconds is None else Demand(wanted, seconds)


def challenged(headers: Sequence[tuple[str, str]]) -> Demand | None:
    """Give the demand in the challenges of a 401 (section 3), or None when it is about something else."""
    for name, value in headers:
        if name == "www-authenticate" and len(value) <= _MAX_CHALLENGE:
            for scheme, parameters in _challenges(value):
                if scheme in _SCHEMES and parameters.get("error") == ERROR:
                    return demand(parameters.get("acr_values"), parameters.get("max_age"))
    return None


def _challenges(text: str) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while at < len(text):
        parameter = _PARAMETER.match(text, at) if found else None
        scheme = None if parameter else _SCHEME.match(text, at)
        if parameter:
            name, quoted, bare = parameter.groups()
            found[-1][1].setdefault(name.lower(), bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
            at = parameter.end()
        elif scheme:
            found.append((scheme[1].lower(), {}))
            at = scheme.end()
        else:
            break
    return found
