"""Values that nobody sends by accident, encoded as they travel in a query, a form or a JSON text."""

from base64 import urlsafe_b64encode
from json import dumps
from urllib.parse import quote


def _jwt(header: bytes, claims: bytes = b"{}") -> str:
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in (header, claims, b"signature"))


BAD_TEXTS = {
    "empty": "",
    "nul": "%00",
    "nul inside": "a%00b",
    "not utf-8": "%ff",
    "overlong utf-8": "%c0%af",
    "half a surrogate pair": "%ed%a0%80",
    "control characters": "%01%07%1b%5b31m",
    "line break": "a%0d%0aSet-Cookie:%20x=1",
    "broken encoding": "%zz%2",
    "quotes": quote("'\"><script>alert(1)</script>"),
    "sql": quote("x' OR '1'='1' --"),
    "path": quote("../../../../etc/passwd"),
    "right to left": quote("\u202egnp.exe\u200b"),
    "a thousand": "a" * 1024,
    "sixteen thousand": "a" * 16_000,
    "a big number": "9" * 5000,
    "minus": "-1",
    "json": quote('{"a":[1,2,{"b":null}]}'),
    "three dots": "a.b.c",
    "only dots": "..",
    "a jwt of nothing": "e30.e30.e30",
    "a handle": "asa_" + "A" * 43 + "AAAAAA",
}

# For whoever reads it as a JWT.
BAD_JWTS = {
    "a jwt without algorithm": _jwt(b'{"alg":"none"}', b'{"sub":"alice","iss":"x","aud":"x","exp":4000000000}'),
    "a jwt of depth": _jwt(b'{"alg":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "a jwt of huge numbers": _jwt(b'{"alg":"ES256","kid":1e999}', b'{"sub":"a","exp":%s,"iat":1e999}' % (b"9" * 5000)),
    "a jwt of other types": _jwt(
        b'{"alg":["ES256"],"kid":{"a":1},"typ":7}', b'{"sub":["a"],"iss":{},"aud":{},"jti":9}'
    ),
    "a jwt with a nul": _jwt(b'{"alg":"ES256","kid":"\\u0000"}', b'{"sub":"\\u0000","iss":"\\u0000","jti":"\\u0000"}'),
    "a jwt with half a pair": _jwt(b'{"alg":"ES256","kid":"\\ud800"}', b'{"sub":"\\ud800","iss":"\\ud800"}'),
    "a jwe": _jwt(b'{"alg":"RSA1_5","enc":"A128GCM","zip":"DEF"}') + ".AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA",
}

BAD_VALUES = {**BAD_TEXTS, **BAD_JWTS}

NOT_UTF8 = ("not utf-8", "overlong utf-8", "half a surrogate pair")
# Each stands for a kind of its own: what a database refuses, what a decoder does, a limit, and readers of JSON and JWT.
WORST = ("nul", "not utf-8", "half a surrogate pair", "a big number", "json", "a jwt of other types")

# As they stand in a JSON text.
BAD_JSON = {
    "null": "null",
    "true": "true",
    "minus one": "-1",
    "a fraction": "1.5",
    "no number": "NaN",
    "endless": "1e999",
    "beyond 64 bits": "1" + "0" * 40,
    "10^5000": "1" + "0" * 5000,
    "empty": '""',
    "nul": '"a\\u0000b"',
    "half a surrogate pair": '"\\ud800"',
    "control characters": '"a\\r\\nb\\u001b[31m"',
    "markup": '"\\"><script>alert(1)</script>"',
    "sql": "\"x' OR '1'='1' --\"",
    "right to left": '"\\u202egnp.exe\\u200b"',
    "a word": '"x"',
    "a url": '"https://client.test/x"',
    "another url": '"javascript:alert(1)"',
    "twenty thousand": dumps("a" * 20_000),
    "an empty list": "[]",
    "a list of everything": '[null, true, 1, "", "\\u0000", [], {}]',
    "a list in a list": '[["https://client.test/callback"]]',
    "a list of a thousand": dumps([f"a.b:/{number}" for number in range(1000)]),
    "an empty object": "{}",
    "an object": '{"keys": [{"kty": "EC", "kid": ["x"]}], "0": "https://client.test/callback"}',
    "nested": "[" * 31 + "]" * 31,
    "twice the same member": '{"a": 1, "a": 2}',
}

# What PostgreSQL refuses, or JSON cannot hold.
WORST_JSON = ("nul", "half a surrogate pair", "beyond 64 bits", "endless", "a list of everything", "an object")

BAD_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a list": b"[]",
    "a form": b"redirect_uris=x",
    "not utf-8": b'{"client_name": "\xff"}',
    "overlong utf-8": b'{"client_name": "\xc0\xaf"}',
    "utf-16": '{"client_name": "x"}'.encode("utf-16"),
    "a mark in front": b'\xef\xbb\xbf{"client_name": "x"}',
    "a nul behind": b'{"client_name": "x"}\0',
    "two objects": b"{}{}",
    "cut off": b'{"client_name": "x"',
    "no number": b'{"x": NaN}',
    "a number of 5,000 digits": b'{"x": 1' + b"0" * 5000 + b"}",
    "the same member twice": b'{"client_name": "a", "client_name": "b"}',
    "depth": b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "100,000 deep": b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
    "10 MiB": b'{"client_name": "' + b"a" * 10 * 1024 * 1024 + b'"}',
}
