"""One protocol request: its parameters, and slots that the steps fill (RFC 6749 3.1, 3.2).

Parameters are read once, from one place. Each slot is filled by exactly one step; what is set has been proven.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import orjson
from authlib.oauth2.rfc6749 import OAuth2Payload, OAuth2Request

from authserver import language
from authserver.records import AccessTokenRow, Client, Grant, RefreshTokenRow, Resource

_LISTS = ("resources", "acr_values", "essential_acrs", "ui_locales")
_NO_LISTS: Mapping[str, tuple[str, ...]] = {}


class Parameters(OAuth2Payload):
    """The parameters of a request; only ``resource`` and ``audience`` may stand more than once (``lists``)."""

    data: dict[str, str] = {}  # noqa: RUF012 - replaces Authlib's property; each instance sets its own

    def __init__(self, data: dict[str, str]) -> None:
        self.data = data
        self.lists: Mapping[str, tuple[str, ...]] = _NO_LISTS
        self.repeated: frozenset[str] = frozenset()

    @property
    def response_type(self) -> str | None:  # type: ignore[override] # Authlib's stubs leave out None
        """Return the response type as sent: order and spelling are the caller's affair (RFC 6749 3.1.1)."""
        return self.data.get("response_type")


class Request(OAuth2Request):
    """A request at one of the protocol endpoints."""

    payload: Parameters
    headers: Mapping[str, str]
    # Two of Authlib's read-only properties are plain attributes here.
    form: dict[str, str] = {}  # noqa: RUF012 - each instance sets its own
    redirect_uri: str = ""  # redirect_uri

    def __init__(
        self,
        parameters: Parameters,
        headers: Mapping[str, str],
        *,
        endpoint: str,
        address: str = "",
        method: str = "POST",
        certificate: bytes | None = None,
    ) -> None:
        # Authlib's own constructor checks the transport by an environment variable; the issuer's settings rule here.
        self.method = method
        self.uri = endpoint
        self.headers = headers
        self.take(parameters)
        self.endpoint = endpoint  # the endpoint's public URL
        self.address = address  # the client's network address, for limits
        self.certificate = certificate  # the client's TLS certificate (DER), where a trusted party has proven it

        self.document: dict[str, Any] = {}  # the JSON object of the body, at endpoints that take one
        self.read_document: Callable[[], dict[str, Any]] = dict  # the same, where it is read when it is asked for

        self.client: Client = None  # type: ignore[assignment] # client_auth, or redirect_uri at authorize
        self.auth_method: str | None = None  # client_auth
        self.user: Any = None  # Authlib asks for one: the grant's subject
        self._scope: str | None = None  # Authlib's; ``scope`` below is ours
        self.authorization_code: Any = None  # authorization_code: what Authlib checks of a code
        self.refresh_token: Any = None  # refresh_token: what Authlib checks of a refresh token
        self.credential: Any = None  # device and other grants with a credential of their own

        self.jkt: str | None = None  # dpop.proof: thumbprint of the key that the client has proven
        self.x5t: str | None = None  # mtls.certificate: thumbprint of the client's certificate
        self.token_type = "Bearer"  # dpop.proof
        self.answer_headers: tuple[tuple[str, str], ...] = ()  # dpop.proof: headers of the answer beside the usual ones

        self.pushed: str | None = None  # par: digest of the request_uri, empty while the request is being pushed
        self.signed = False  # jar: the parameters come from a signed request object
        self.dpop_jkt: str | None = None  # dpop.code_binding: thumbprint of the key that the code will need
        self.response_mode = "query"  # response_modes
        self.resources: tuple[str, ...] = ()  # resource: identifiers asked for
        self.asked_details: tuple[dict[str, Any], ...] = ()  # rar.check
        self.prompt: frozenset[str] = frozenset()  # authentication_request
        self.max_age: int | None = None  # authentication_request
        self.acr_values: tuple[str, ...] = ()  # step_up, and claims_request
        self.essential_acrs: tuple[str, ...] = ()  # claims_request: one of them has to be met
        self.asked_claims: str | None = None  # claims_request, in the form in which a grant keeps them
        self.hinted_sub: str | None = None  # authentication_request, from id_token_hint

        self.grant: Grant | None = None  # the act of authorization that tokens are issued from
        self.granted_scope = ""  # scope of the grant, narrowed by this request
        self.target: Resource | None = None  # resource.narrow: the resource of the access token, None for the default
        self.audience = ""  # resource.narrow
        self.details: tuple[dict[str, Any], ...] = ()  # rar.narrow: granted; rar.limit: those that the target knows
        self.token_scope = ""  # resource.narrow: the part of the scope that the target knows
        self.claims: dict[str, Any] = {}  # of the access token: issue and TOKEN_CLAIMS, or userinfo
        self.access_row: AccessTokenRow | None = None  # issue
        self.refresh_row: RefreshTokenRow | None = None  # issue
        self.issued_at = 0  # issue: microseconds
        self.response: dict[str, Any] = {}  # issue: the token response

    def take(self, parameters: Parameters) -> None:
        """Take these parameters in the place of whatever was there."""
        self.payload = parameters
        self.parameters = parameters.data
        self.form = parameters.data  # Authlib's name for the parameters of the body

    @property
    def confirmation(self) -> dict[str, str]:
        """Return what the client has proven to hold, as ``cnf`` says it (RFC 7800 3.1)."""
        proven = {"jkt": self.jkt, "x5t#S256": self.x5t}
        return {member: value for member, value in proven.items() if value is not None}

    def proves(self, cnf: Any) -> bool:
        """Say whether the client has proven to hold everything that a ``cnf`` claim names (RFC 7800 3.1)."""
        return isinstance(cnf, Mapping) and bool(cnf) and cnf.items() <= self.confirmation.items()

    @property
    def authorization_details(self) -> str | None:
        """Return the authorization details as asked for, in the form in which a grant keeps them."""
        return orjson.dumps(self.asked_details).decode() if self.asked_details else None

    @property  # type: ignore[override] # Authlib's stubs leave out None
    def scope(self) -> str | None:
        """Return the scope as asked for."""
        return self.parameters.get("scope")

    @scope.setter
    def scope(self, value: str | None) -> None:
        self._scope = value


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A validated authorization request, as the interaction keeps it until the user has decided."""

    client_id: str
    redirect_uri: str
    response_type: str
    response_mode: str
    scope: str
    resources: tuple[str, ...] = ()
    state: str | None = None
    nonce: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    essential_acrs: tuple[str, ...] = ()
    hinted_sub: str | None = None
    claims: str | None = None
    login_hint: str | None = None
    ui_locales: tuple[str, ...] = ()
    code_challenge: str | None = None
    dpop_jkt: str | None = None
    pushed: str | None = None
    authorization_details: str | None = None

    @classmethod
    def of(cls, request: Request) -> "AuthorizationRequest":
        """Take over what the steps have proven of a request."""
        sent = request.parameters
        return cls(
            client_id=request.client.client_id,
            redirect_uri=request.redirect_uri,
            response_type=sent["response_type"],
            response_mode=request.response_mode,
            scope=request.granted_scope,
            resources=request.resources,
            state=sent.get("state"),
            nonce=sent.get("nonce"),
            prompt=request.prompt,
            max_age=request.max_age,
            acr_values=request.acr_values,
            essential_acrs=request.essential_acrs,
            hinted_sub=request.hinted_sub,
            claims=request.asked_claims,
            login_hint=sent.get("login_hint"),
            ui_locales=language.tags(sent.get("ui_locales", "")),
            code_challenge=sent.get("code_challenge"),
            dpop_jkt=request.dpop_jkt,
            pushed=request.pushed,
            authorization_details=request.authorization_details,
        )

    @classmethod
    def so_far(cls, request: Request) -> "AuthorizationRequest":
        """Return what is proven of a refused request: where, and how, to send the error."""
        return cls(
            client_id=request.client.client_id,
            redirect_uri=request.redirect_uri,
            response_type="",
            response_mode=request.response_mode,
            scope="",
            state=request.parameters.get("state"),
        )

    def dump(self) -> dict[str, Any]:
        """Return the members as JSON has them."""
        return {**asdict(self), "prompt": sorted(self.prompt)}

    @classmethod
    def load(cls, members: dict[str, Any]) -> "AuthorizationRequest":
        """Read what ``dump`` wrote."""
        # One that was begun before an upgrade lacks what came with it.
        lists = {name: tuple(members[name]) for name in _LISTS if name in members}
        return cls(**{**members, **lists, "prompt": frozenset(members["prompt"])})


class Answer(NamedTuple):
    """An HTTP answer, framework-neutral: status, body, headers."""

    status: int
    body: bytes
    headers: list[tuple[str, str]]


class Stream(NamedTuple):
    """An HTTP answer that comes in pieces, for as long as somebody reads them."""

    status: int
    body: Iterator[bytes]
    headers: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class FormPost:
    """An authorization response by form_post: the page that carries it is made where pages are made."""

    action: str
    fields: tuple[tuple[str, str], ...]


NO_STORE = ("Cache-Control", "no-store")
JSON = ("Content-Type", "application/json")


def json_answer(status: int, body: Mapping[str, Any], *headers: tuple[str, str]) -> Answer:
    """Make a JSON answer that nobody may keep (RFC 6749 5.1)."""
    return Answer(status, orjson.dumps(body), [JSON, NO_STORE, ("Pragma", "no-cache"), *headers])
