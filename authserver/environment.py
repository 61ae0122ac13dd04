"""The environment variables of this process: which of them are settings, and which only look like one."""

import logging
import os
import re
from functools import cache
from typing import Final

from pydantic import BaseModel

from authserver.sections import Section

log = logging.getLogger("authserver.settings")

PREFIX: Final = "AUTHSERVER_"
_SERVICE_LINK = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT(_.*)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$")
_SERVICE_LINK_URL = re.compile(r"(tcp|udp|sctp)://")


def unknown_names(settings: type[BaseModel]) -> list[str]:
    """Return a sentence for each variable of ours that is no setting."""
    known, links = {PREFIX + "CONFIG"}, frozenset(service_links())
    for name, field in settings.model_fields.items():
        known.add(PREFIX + name.upper())
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            known |= {f"{PREFIX}{name.upper()}__{part.upper()}" for part in field.annotation.model_fields}
    return [
        f"{name} is not a setting"
        for name in sorted(os.environ)
        if name.startswith(PREFIX) and name not in known and name not in links
    ]


def service_links() -> tuple[str, ...]:
    """Return the names that Kubernetes has put there for a service called authserver or authserver-something."""
    return tuple(
        name
        for name, value in sorted(os.environ.items())
        if name.startswith(PREFIX)
        and (_SERVICE_LINK.search(name) or (name.endswith("_PORT") and _SERVICE_LINK_URL.match(value)))
    )


@cache
def tell_ignored(names: tuple[str, ...]) -> None:
    """Say once which variables are none of ours."""
    if names:
        log.warning("ignored, because they are links to a Kubernetes service: %s", ", ".join(names))
