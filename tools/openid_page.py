"""Writes docs/openid-certification.md: each module of the certification plans for OpenID providers, with its test."""

import ast
import re

from tools.pages import NOTICE, Pages, write
from tools.sources import ROOT

PAGE = "docs/openid-certification.md"
FOLDER = ROOT / "tests" / "openid"
_BASIC = """
    OIDCCServerTest OIDCCResponseTypeMissing OIDCCIdTokenSignature OIDCCIdTokenUnsigned OIDCCUserInfoGet
    OIDCCUserInfoPostHeader OIDCCUserInfoPostBody OIDCCEnsureRequestWithoutNonceSucceedsForCodeFlow OIDCCScopeProfile
    OIDCCScopeEmail OIDCCScopeAddress OIDCCScopePhone OIDCCScopeAll OIDCCAlternateHappyFlow OIDCCDisplayPage
    OIDCCDisplayPopup OIDCCPromptLogin OIDCCPromptNoneNotLoggedIn OIDCCPromptNoneLoggedIn OIDCCMaxAge1 OIDCCMaxAge10000
    OIDCCEnsureRequestWithUnknownParameterSucceeds OIDCCIdTokenHint OIDCCLoginHint OIDCCUiLocales OIDCCClaimsLocales
    OIDCCEnsureRequestWithAcrValuesSucceeds OIDCCAuthCodeReuse OIDCCAuthCodeReuseAfter30Seconds
    OIDCCEnsureRegisteredRedirectUri OIDCCEnsurePostRequestSucceeds OIDCCServerTestClientSecretPost
    OIDCCRequestUriUnsignedSupportedCorrectlyOrRejectedAsUnsupported
    OIDCCUnsignedRequestObjectSupportedCorrectlyOrRejectedAsUnsupported OIDCCClaimsEssential
    OIDCCEnsureRequestObjectWithRedirectUri OIDCCRefreshToken OIDCCEnsureRequestWithValidPkceSucceeds
"""
_NOT_IMPLICIT = """
    OIDCCIdTokenUnsigned OIDCCEnsureRequestWithoutNonceSucceedsForCodeFlow OIDCCAuthCodeReuse
    OIDCCAuthCodeReuseAfter30Seconds OIDCCEnsurePostRequestSucceeds OIDCCServerTestClientSecretPost OIDCCRefreshToken
    OIDCCEnsureRequestWithValidPkceSucceeds
"""
_IMPLICIT = " ".join(name for name in _BASIC.split() if name not in _NOT_IMPLICIT.split())
PROFILES: dict[str, str] = {
    "Basic OP": _BASIC,
    "Config OP": "OIDCCDiscoveryEndpointVerification",
    "Form Post OP": _BASIC,
    "Hybrid OP (with `features.hybrid`)": f"{_BASIC} OIDCCEnsureRequestWithoutNonceFails",
    "Implicit OP (with `features.hybrid`)": f"{_IMPLICIT} OIDCCEnsureRequestWithoutNonceFails",
    "Dynamic OP (with `features.hybrid`)": """
        OIDCCIdTokenRS256 OIDCCIdTokenUnsigned OIDCCUserInfoRS256 OIDCCEnsureRedirectUriInAuthorizationRequest
        OIDCCRedirectUriQueryOK OIDCCRedirectUriQueryMismatch OIDCCRedirectUriQueryAdded OIDCCRedirectUriRegFrag
        OIDCCDiscoveryEndpointVerification OIDCCServerTest OIDCCRegistrationLogoUri OIDCCRegistrationPolicyUri
        OIDCCRegistrationTosUri OIDCCRegistrationJwksUri OIDCCRegistrationSectorUri OIDCCRegistrationSectorBad
        OIDCCServerRotateKeys OIDCCRefreshTokenRPKeyRotation OIDCCRequestUriUnsigned OIDCCRequestUriSignedRS256
        OIDCCEnsureRequestObjectWithRedirectUri OIDCCRefreshToken OIDCCEnsureClientAssertionWithIssAudSucceeds
    """,
    "3rd Party-Init OP": "OIDCC3rdPartyInitLogin OIDCC3rdPartyInitLoginNonHttps",
    "RP-Initiated OP": """
        OIDCCRpInitiatedLogoutDiscoveryEndpointVerification OIDCCRpInitiatedLogout OIDCCRpInitiatedLogoutNoState
        OIDCCRpInitiatedLogoutBadLogoutRedirectUri OIDCCRpInitiatedLogoutQueryAddedToLogoutRedirectUri
        OIDCCRpInitiatedLogoutModifiedIdTokenHint OIDCCRpInitiatedLogoutBadIdTokenHint
        OIDCCRpInitiatedLogoutNoIdTokenHint OIDCCRpInitiatedLogoutNoParams
        OIDCCRpInitiatedLogoutNoPostLogoutRedirectUri OIDCCRpInitiatedLogoutOnlyState
    """,
    "Back-Channel OP": "OIDCCBackchannelLogoutDiscoveryEndpointVerification OIDCCBackChannelRpInitiatedLogout",
    "Front-Channel OP": "OIDCCFrontChannelLogoutDiscoveryEndpointVerification OIDCCFrontChannelRpInitiatedLogout",
    "Session OP (with `features.session_management`)": """
        OIDCCSessionManagementDiscoveryEndpointVerification OIDCCSessionManagementRpInitiatedLogout
    """,
}
_OBJECT = "the provider announces no request objects without a signature"
SKIPPED = {
    "OIDCCIdTokenUnsigned": "the provider announces no ID tokens without a signature",
    "OIDCCRequestUriUnsignedSupportedCorrectlyOrRejectedAsUnsupported": _OBJECT,
    "OIDCCUnsignedRequestObjectSupportedCorrectlyOrRejectedAsUnsupported": _OBJECT,
    "OIDCCEnsureRequestObjectWithRedirectUri": _OBJECT,
    "OIDCCRequestUriUnsigned": _OBJECT,
}
"""What the plans leave out here, and why; the tests tell that nothing of the kind is taken."""
_KNOWN = frozenset(" ".join(PROFILES.values()).split())
_NAMED = re.compile(r"(OIDCC|\.\.\.)(\w+)")


def _module(start: str, rest: str) -> str:
    """Return the module that a comment names, whole or by its end; raises ValueError for one that no plan has."""
    found = [known for known in _KNOWN if known == start + rest or (start == "..." and known.endswith(rest))]
    if len(found) != 1:
        msg = f"{start}{rest} is not a module of a certification plan"
        raise ValueError(msg)
    return found[0]


def told() -> dict[str, list[str]]:
    """Return each module with the tests whose comment names it: a comment belongs to the next test below it."""
    tests: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
        starts = [(node.lineno, node.name) for node in functions if node.name.startswith("test_")]
        for number, line in enumerate(text.splitlines(), 1):
            names = [_module(*part) for part in _NAMED.findall(line)] if line.startswith("# ") else []
            test = next((name for at, name in starts if at > number), None)
            for name in names:
                if test is None:
                    msg = f"{path.name}:{number} names a module, and no test follows"
                    raise ValueError(msg)
                tests.setdefault(name, []).append(f"[{test}](../tests/openid/{path.name})")
    return tests


def _table(modules: list[str], tests: dict[str, list[str]]) -> str:
    rows = []
    for name in modules:
        if name not in tests:
            msg = f"{name} has no test"
            raise ValueError(msg)
        skipped = [f"skipped: {SKIPPED[name]}"] if name in SKIPPED else []
        rows.append(f"| {name} | {'<br>'.join([*skipped, *tests[name]])} |")
    return "\n".join(["| module | test |", "|---|---|", *rows])


def pages() -> Pages:
    """Write the page that is to be stored."""
    tests = told()
    text = (
        "What the certification plans of the OpenID Foundation ask of a provider, module by module, and where this"
        " suite asks the same. A test names its modules in a comment, from which this page is made; `skipped` means"
        " that the plan leaves the module out.\n\n"
        "All of them run twice: in one process, and over https behind nginx with the configuration that is shipped"
        " ([deployed.py](../tests/openid/deployed.py)), where each request lies about the way it came. Basic OP, Form"
        " Post OP, Hybrid OP and Implicit OP share their tests, which run once for each: the name of the profile or of"
        " its response type is in the test's brackets. What is checked of every answer is in"
        " [party.py](../tests/openid/party.py), and the settings with which all profiles pass at one provider without"
        " a warning are in [conftest.py](../tests/openid/conftest.py).\n\n"
        "FAPI 2.0 and FAPI-CIBA are told in [tests/flows/fapi2](../tests/flows/fapi2).\n\n"
        "Session OP needs a browser that shows a frame its cookie although the page around it is of another site; those"
        " that keep sites apart show it none, and then the frame answers `error`."
    )
    parts = [f"{NOTICE}\n\n# OpenID certification\n\n{text}"]
    parts += [f"## {title}\n\n{_table(modules.split(), tests)}" for title, modules in PROFILES.items()]
    return {PAGE: "\n\n".join(parts) + "\n"}


if __name__ == "__main__":
    write(pages)
