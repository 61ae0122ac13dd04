"""What is sent to clients: under the same guard as what is fetched from them, and whatever they answer."""

import pytest

from authserver.outbound import Outbound, OutboundError
from authserver.settings import Settings
from tests.listener import Listener, endless, says, sends

TOLD = (("Authorization", "Bearer x"), ("Content-Type", "application/json"))
BODY = b'{"auth_req_id":"x"}'


def _outbound(*allowed: str) -> Outbound:
    return Outbound(Settings(development=True, outbound_allow=allowed))


def test_a_post_carries_its_headers_and_its_body():
    with Listener(says(b"", "204 No Content")) as listener:
        assert _outbound("127.0.0.1").post(listener.url, TOLD, BODY) == 204
        (head,) = listener.heads
    lines = head.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert lines[0] == b"POST /jwks HTTP/1.1"
    assert {b"Authorization: Bearer x", b"Content-Type: application/json", b"Content-Length: 19"} <= set(lines)


@pytest.mark.parametrize("status", [200, 301, 307, 401, 403, 500])
def test_the_status_is_all_that_counts_and_no_redirect_is_followed(status: int):
    with Listener(lambda listener, connection: None) as listener:
        listener.answer = says(b"{}", f"{status} Whatever", f"Location: {listener.url}/elsewhere")
        assert _outbound("127.0.0.1").post(listener.url, TOLD, BODY) == status
        assert listener.connections == 1


def test_a_body_without_an_end_is_not_read():
    with Listener(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096)) as listener:
        assert _outbound("127.0.0.1").post(listener.url, TOLD, BODY) == 200


def test_what_is_no_answer_is_an_error():
    with Listener(sends(b"\x16\x03 nonsense\r\n\r\n")) as listener, pytest.raises(OutboundError):
        _outbound("127.0.0.1").post(listener.url, TOLD, BODY)


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/", "https://169.254.169.254/", "http://client.test/", "file:///etc/passwd", "https://a@b/"],
)
def test_nothing_is_sent_inside(url: str):
    with pytest.raises(OutboundError):
        _outbound().post(url, TOLD, BODY)
