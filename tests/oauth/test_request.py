"""One protocol request, and what an interaction keeps of it."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.request import AuthorizationRequest, json_answer

_TEXT = st.text(max_size=20)
_MAYBE = st.none() | _TEXT
_WORDS = st.lists(_TEXT, max_size=3).map(tuple)


@given(
    st.builds(
        AuthorizationRequest,
        client_id=_TEXT,
        redirect_uri=_TEXT,
        response_type=_TEXT,
        response_mode=_TEXT,
        scope=_TEXT,
        resources=_WORDS,
        state=_MAYBE,
        nonce=_MAYBE,
        prompt=st.frozensets(_TEXT, max_size=3),
        max_age=st.none() | st.integers(0, 2**31),
        acr_values=_WORDS,
        hinted_sub=_MAYBE,
        login_hint=_MAYBE,
        ui_locales=_WORDS,
        code_challenge=_MAYBE,
    )
)
def test_a_request_survives_its_way_through_the_store(request_: AuthorizationRequest):
    assert AuthorizationRequest.load(orjson.loads(orjson.dumps(request_.dump()))) == request_


def test_a_request_from_before_an_upgrade_is_read():
    kept = AuthorizationRequest("client", "https://client.test/", "code", "query", "openid").dump()
    del kept["essential_acrs"], kept["claims"]
    assert AuthorizationRequest.load(kept).essential_acrs == ()


def test_a_json_answer_is_kept_by_nobody():
    answer = json_answer(400, {"error": "x"}, ("Retry-After", "1"))
    assert (answer.status, answer.body) == (400, b'{"error":"x"}')
    assert dict(answer.headers) == {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "Pragma": "no-cache",
        "Retry-After": "1",
    }
