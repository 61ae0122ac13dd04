"""Values that nobody sends by accident, encoded as they travel in a query or a form."""

from urllib.parse import quote

BAD_VALUES = {
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
