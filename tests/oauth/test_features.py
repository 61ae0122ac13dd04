"""Switching extensions off: nothing of what is off is announced, answers or runs."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from authserver import registry
from authserver.extension_sections import Registration
from authserver.manage.client_metadata import CODE
from authserver.manage.client_rules import grants_of
from authserver.oauth.features import Selection
from authserver.sections import Features
from pytest_authserver import AuthServer
from tests.details import TYPES

ROOMS = ("authserver.oauth.", "authserver.oidc.", "authserver.api.")
MODULES = [module for name, module in sorted(sys.modules.items()) if name.startswith(ROOMS)]
SWITCHES = sorted({module.FEATURE for module in MODULES if hasattr(module, "FEATURE")})
ALL_OFF = Features(**dict.fromkeys(Features.model_fields, False))
ALL_ON = Features(**dict.fromkeys(Features.model_fields, True))


def _modules(switch: str) -> list[ModuleType]:
    return [module for module in MODULES if getattr(module, "FEATURE", None) == switch]


def _entries(selection: object) -> list[object]:
    """Return what runs, of every tuple and table."""
    parts: list[object] = []
    for name, value in vars(selection).items():
        if name.isupper() and isinstance(value, tuple | dict):
            entries = value.values() if isinstance(value, dict) else value
            parts += [entry[-1] if isinstance(entry, tuple) else entry for entry in entries]
    return parts


def test_every_switch_of_the_settings_switches_something():
    assert set(SWITCHES) == set(Features.model_fields)


@pytest.mark.parametrize("switch", SWITCHES)
def test_no_step_of_what_is_off_is_left(switch: str):
    names = {module.__name__ for module in _modules(switch)}
    on, off = Selection(registry, ALL_ON), Selection(registry, ALL_ON.model_copy(update={switch: False}))
    assert any(getattr(part, "__module__", "") in names for part in _entries(on))
    assert not any(getattr(part, "__module__", "") in names for part in _entries(off))


def test_what_is_left_keeps_its_order():
    whole, rest = vars(Selection(registry, ALL_ON)), vars(Selection(registry, ALL_OFF))
    for name, value in rest.items():
        if isinstance(value, tuple):
            assert list(value) == [entry for entry in whole[name] if entry in value]


def test_a_name_that_the_registry_has_not_is_an_error():
    with pytest.raises(AttributeError):
        _ = Selection(registry, Features()).NOTHING


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> AuthServer:
    """A server with everything switched off."""
    return AuthServer(tmp_path_factory.mktemp("plain"), features=ALL_OFF.model_dump())


@pytest.mark.parametrize("switch", SWITCHES)
def test_the_metadata_is_silent_about_what_is_off(authserver: AuthServer, tmp_path: Path, switch: str):
    server = AuthServer(tmp_path, features={switch: False})
    on, off = (at.get("/.well-known/openid-configuration").json() for at in (authserver, server))
    server.close()
    assert on.keys() >= off.keys()
    # Registration is announced where it is open, and types of authorization details where there are some.
    settings = authserver.settings.model_copy(
        update={"registration": Registration(mode="open"), "authorization_details_types": TYPES}
    )
    announced = set().union(
        *(
            module.metadata(authserver.server, settings).keys()
            for module in _modules(switch)
            if hasattr(module, "metadata")
        )
    )
    names = {module.__name__ for module in _modules(switch)}
    grants = {grant.GRANT_TYPE for grant in registry.GRANTS if grant.__module__ in names}
    kinds = {name for name, answer in registry.RESPONSE_TYPES if answer.__module__ in names}
    prompts = {value for value, step in registry.PROMPTS if step.__module__ in names}
    # What only pages of ours use is announced to nobody.
    places = {path for _, path, _, respond in registry.ENDPOINTS if respond.__module__ in names}
    assert announced or grants or kinds or prompts or places
    assert (grants | grants_of(kinds) - {CODE}).isdisjoint(off["grant_types_supported"])
    assert kinds.isdisjoint(off["response_types_supported"])
    assert prompts.isdisjoint(off["prompt_values_supported"])
    # What others say of it, too, is a plain "no" (OpenID Connect Discovery 1.0, 3).
    assert not any(off.get(name) for name in announced)


def test_a_server_without_any_extension_still_serves_the_core(plain: AuthServer):
    user, client = plain.user(), plain.client(trusted=True)
    tokens = plain.tokens(client, user)
    assert plain.get("/userinfo", tokens["access_token"]).json()["sub"] == user.sub
    assert plain.refresh(client, tokens["refresh_token"]).status_code == 200
    assert plain.introspect(client, tokens["access_token"])["active"] is True
