"""Reading parameters (RFC 6749 3.1, 3.2, Appendix A and B)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import InvalidRequest
from authserver.oauth.parameters import is_vschar, read_form, read_query
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API, OTHER_API, ask, assert_refused, assert_sent_back, code_of

FORM = "application/x-www-form-urlencoded"
KNOWN = frozenset({"a", "b", "resource"})


def test_values_are_decoded_once_with_plus_as_a_space():
    parameters = read_query("a=1+2%2B3%253&b=%E2%98%83&c=%3D%26", KNOWN)
    assert parameters.data == {"a": "1 2+3%3", "b": "\N{SNOWMAN}", "c": "=&"}
    assert parameters.repeated == frozenset()


def test_a_parameter_without_a_value_counts_as_omitted_3_1():
    assert read_query("a=&b&c=1", KNOWN).data == {"c": "1"}


def test_only_the_ampersand_separates():
    assert read_query("a=1;b=2", KNOWN).data == {"a": "1;b=2"}


def test_a_known_parameter_twice_is_noticed_even_with_equal_or_empty_values():
    for text in ("a=1&a=2", "a=1&a=1", "a=1&a=", "a=&a=1", "a=&a="):
        assert read_query(text, KNOWN).repeated == {"a"}
        with pytest.raises(InvalidRequest):
            read_form(FORM, text.encode(), KNOWN)


def test_an_unknown_parameter_twice_is_ignored():
    assert read_query("x=1&x=2&a=3", KNOWN).repeated == frozenset()
    assert read_form(FORM, b"x=1&x=2&a=3", KNOWN).data["a"] == "3"


def test_resource_and_audience_may_stand_several_times():
    parameters = read_query("resource=x&resource=y&audience=z&resource=&a=1", KNOWN)
    assert parameters.repeated == frozenset()
    assert parameters.lists == {"resource": ("x", "y"), "audience": ("z",)}


@pytest.mark.parametrize("text", ["a=%ff", "a=%c0%af", "a=%ed%a0%80", "%ff=1", "a=%80"])
def test_what_is_not_utf_8_is_refused(text: str):
    with pytest.raises(InvalidRequest):
        read_query(text, KNOWN)


@pytest.mark.parametrize("body", [b"a=\xff", b"a=\xc0\xaf", b"a=\xed\xa0\x80", b"a=\0", b"\0"])
def test_a_body_that_is_not_utf_8_or_has_a_raw_nul_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        read_form(FORM, body, KNOWN)


def test_a_hundred_parameters_are_read_and_no_more():
    assert read_query("&".join(f"x{number}=1" for number in range(100)), KNOWN)
    with pytest.raises(InvalidRequest):
        read_query("&".join(f"x{number}=1" for number in range(101)), KNOWN)


def test_brackets_in_a_name_mean_nothing():
    assert read_query("a[]=1&a[x]=2", KNOWN).data == {"a[]": "1", "a[x]": "2"}


@pytest.mark.parametrize(
    ("text", "good"), [("", True), (" ~", True), ("\x7f", False), ("\n", False), ("\xe9", False), ("a\0", False)]
)
def test_vschar_is_printable_ascii_appendix_a(text: str, *, good: bool):
    assert is_vschar(text) is good


@given(st.text(), st.text(), st.binary())
def test_whatever_is_sent_is_read_or_refused(text: str, content_type: str, body: bytes):
    for call in (
        lambda: read_query(text, KNOWN),
        lambda: read_form(FORM, body, KNOWN),
        lambda: read_form(content_type, body, KNOWN),
    ):
        try:
            parameters = call()
        except InvalidRequest:
            continue
        assert all(isinstance(value, str) and value for value in parameters.data.values())


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1),
        st.text(st.characters(codec="utf-8"), min_size=1),
        max_size=20,
    )
)
def test_whatever_was_encoded_comes_back(parameters: dict[str, str]):
    from urllib.parse import urlencode

    assert read_query(urlencode(parameters), KNOWN).data == parameters
    assert read_form(FORM, urlencode(parameters).encode(), KNOWN).data == parameters


# At the endpoints.


@pytest.mark.parametrize(
    "name", ["state", "scope", "response_type", "code_challenge", "code_challenge_method", "nonce", "prompt", "max_age"]
)
def test_a_repeated_parameter_of_an_authorization_request_is_an_invalid_request_3_1(
    authserver: AuthServer, client: RegisteredClient, alice: User, name: str
):
    value = authserver.request(client, authserver.pkce(), nonce="n", prompt="login", max_age="1")[name]
    for values in ([value, value], [value, "x"], [value, ""]):
        assert_sent_back(ask(authserver, client, alice, **{name: values}), "invalid_request", client)


def test_a_repeated_response_mode_is_refused_in_a_mode_that_was_not_asked_for_twice(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    page = ask(authserver, client, alice, response_mode=["fragment", "query"], state="s")
    assert_sent_back(page, "invalid_request", client, state="s")


def test_resources_and_unknown_parameters_may_repeat_at_authorization(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    code_of(ask(authserver, client, alice, resource=[API, OTHER_API], audience=["x", "y"], extra=["x", "y"]))


@pytest.mark.parametrize(
    "name", ["grant_type", "scope", "client_id", "client_secret", "code", "refresh_token", "token"]
)
@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke"])
def test_a_repeated_parameter_in_a_body_is_an_invalid_request_3_2(
    authserver: AuthServer, client: RegisteredClient, path: str, name: str
):
    parameters = {"grant_type": "client_credentials", "scope": "api:read", "token": "x"}
    assert_refused(authserver.post(path, client, **{**parameters, name: ["x", "x"]}), "invalid_request")
