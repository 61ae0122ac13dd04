"""Protected resources and their scopes: list, show, add, replace, remove."""

from typing import Any, Final

from authserver.api.clients import check_powers
from authserver.api.errors import OWN_RESOURCE, SERVERS, AccessDenied, Conflict
from authserver.api.fields import PAGE, identifier
from authserver.api.operation import Call, Operation, done, shown
from authserver.api.paging import among, page
from authserver.manage import resources
from authserver.manage.errors import InvalidMetadata
from authserver.oauth.request import Answer, json_answer
from authserver.records import Resource

_ONE: Final = {"identifier": identifier}


def list_(call: Call) -> Answer:
    """List the resources, by identifier."""
    return page(
        call,
        "resources",
        among(call.store.resources.all(), lambda resource: resource.identifier),
        lambda resource: resource.identifier,
        resources.describe,
    )


def add(call: Call) -> Answer:
    """Add a resource with its scopes."""
    _check_document(call, call.document.get("identifier"))
    added = resources.add(call.store, call.document, actor=call.actor)
    call.server.forget()
    return json_answer(201, resources.described(call.store, added))


def show(call: Call) -> Answer:
    """Show a resource."""
    return _shown(call, resources.existing(call.store, call.given["identifier"]))


def replace(call: Call) -> Answer:
    """Replace all but the identifier of a resource. If-Match names the version that was read."""
    name, version = call.given["identifier"], call.required_version()
    _check_document(call, name)
    if call.document.get("identifier", name) != name:
        raise InvalidMetadata("identifier", "cannot be changed by a replacement", "invalid_request")
    document = {**call.document, "identifier": name}
    changed = resources.update(call.store, document, actor=call.actor, version=version)
    call.server.forget()
    return _shown(call, changed)


def remove(call: Call) -> Answer:
    """Delete a resource; tokens for it are not given any more."""
    resources.remove(call.store, call.given["identifier"], actor=call.actor, version=call.version)
    call.server.forget()
    return done()


OPERATIONS: Final = (
    Operation("GET", "/resources", "resources", list_, takes=PAGE),
    Operation("POST", "/resources", "resources", add, document=True),
    Operation("GET", "/resource", "resources", show, needs=_ONE),
    Operation("PUT", "/resource", "resources", replace, needs=_ONE, document=True),
    Operation("DELETE", "/resource", "resources", remove, needs=_ONE),
)


def _check_document(call: Call, name: Any) -> None:
    if name == call.settings.management_resource:
        raise Conflict(OWN_RESOURCE)
    if "introspection_clients" in call.document:
        _check_servers(call, str(name), call.document["introspection_clients"])


def _check_servers(call: Call, name: str, sent: Any) -> None:
    """Who may introspect is written down with the client: to say another one is to change the client."""
    if not call.caller.may("manage:clients"):
        raise AccessDenied(SERVERS)
    wanted = {one for one in sent if isinstance(one, str)} if isinstance(sent, list) else set[str]()
    touched = wanted.symmetric_difference(resources.introspection_clients(call.store, name))
    check_powers(call, *(client.metadata for client in call.store.clients.all() if client.client_id in touched))


def _shown(call: Call, resource: Resource) -> Answer:
    described = resources.described(call.store, resource)
    return shown(described, described)
