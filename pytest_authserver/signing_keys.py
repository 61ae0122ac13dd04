"""Fixed signing and encryption keys of the test server: making an RSA key takes longer than a test.

They are public knowledge; the fixture serves loopback issuers only.
"""

from typing import cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from authserver.clock import DAY, now
from authserver.crypto import Sealer
from authserver.keys import seal_key
from authserver.records import SigningKey

RS256 = """\
-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCzhW6KVZPtBvgU
UF+4+T+Q8T+lcNedmND2Nc8A4c8zwkPdkW4Z7tHlL0FwN2JCuWO3l5Y1OnhXR3XM
zhEHfUh+bIVnH5DTzj21FbG/Obct48V6Kgd9icjj7K2n+Pgk6aBJcSR6uXe98P+v
EcdThwnGZawxovWYsNdPLuYZwfeRXC+EFDYmSNdwoutzX7LMwpG1XwKzckv3T1Vb
p8E1ygE3STiV6jeIkAegM7K7X7cSjaqzVfZgYSy6zk+PzpRs3yNA9m+To9G7/Ihh
EfAV19NzE418DAzK5j+04YNKBFVX6mk3GA2YQtlWo0Gxys/ZSqPz9PvmfRLyZdtM
rrzewCunAgMBAAECggEAQVqhn+3AsQkY9jg+aNYgbJFPJNj8Pczcwc1cA0uxhXvC
/h4MEZfORNubvJEFDhp0sWkXj2AuYEPNIFaif3H+GrxCIoUs0dbiwxJXR7DovWWO
xkcXu/2Vq1hF7gEmwTVmG2Z7q8vqSjU6t87GnGNsTRRFiDp1o3U5pQODVDw3duyW
7q+nxeQ5x15jjXu+YMzd99QyBKr+hTZ3WagzoUgUsEhZMCehfP2eDpnwPa4697xH
fDsgf4aBtv43aLR4pwy+xhniWAFcbyn4bU+Qalkn67qErdyi4+OeQ8/Q7glMNExg
EuAXSWb53M3WXQIoNSUXEjNSt2jED8Pji2zl7aUUqQKBgQDXWPVfeCIg1WdwdHCv
YxiALowzpw+vbqQzJr0ikP9AIQ7Z6WVpOTshSpsvNrHu//oydZwBp1Llr5aMN6OY
ib5M2Vf8kpMeu1NvHTVZDfMwyzVv6917yZMxR+YVbRXg/2cA8PHmNT8rRmiLys8q
EAj7gXhldiY6sRfcg1ceh9vynwKBgQDVaRs3ugNfWX5fJc4UTRqfXmxs6falGBh4
jfKP6AYCtmjLDS/HyOftE2XDS7KmvYtJJxiEL407QGrkaNaP+II9hsFoblYtGSGU
JuV2EGazX8uc2ogUAbBtMXT9xN9dmOcbF0jIcA3EwnIpOU2Dv2G6OTz/ZCD2+Bxq
D5o54qdx+QKBgB8CS0r1BI0PzbZOvg8zSMrkaQHjE4oid3h6IpAAqxCz8eyFBDpT
qGUR1ijFSnfs2j073DwMuQ4j65zDQkZrx0BPp7DR9mddeBUu8oihTpx/FnHIV/tE
OnLFNKdvLtBYVp+3Ek4g6rizichfatdWucRlj02k5rpa1+HD896Ml6pnAoGBALEB
NW76HJP4MWWPgKa78OngMkP/pe/21U0gRuBvDJUxYCeSL2AgVaUAIrZh0bKUobMx
9xakLhrH6iC6h8Pv1W5cl4wbf+R15LDxtf4/yj7apJHbe2REpmVa0PMuWClUidKh
dF+y+OiKco+YlJ9CnDcOBHa7QNA2p7KccEm0oTdZAoGBAKm0jYI0i1KXTTHNU1ys
NDCgxqqK0MFyBpB0Sl9FI7QtciOZ60fJtL875xiQdtl18ziWq/IbNDbgBwh3DuD9
aZTTwFKabxL4JiUdep4aAwsF9PzY1tQ3Ovhx2Y9eNMEbkLbXn7Ul1ZORrYTbtdEP
x9iuep0UVnBk05decC7seV8a
-----END PRIVATE KEY-----
"""

ES256 = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDAGbTTxgFvSkw+qY
g9J+DbKh+2l7ekyY0OmmjNzYmuihRANCAAS+wCkoyEj1v8g8edZnKVxl1WaFJg0v
a3BcE7S4N3RFDa7gJe13pYAZH82g68l5t1WRIICuihP9JFPMZBf5LMKX
-----END PRIVATE KEY-----
"""

RSA_OAEP_256 = """\
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDI/mKOyoNari94
hdoNX59KwZePJRj5HxMf/bzI7SCq7i+87mIbKluEC+7Vq4SgFDLiT6HlhbPPJv10
MMIAdLeLu1NOe4kx5NdVlsM5VYepc328VRQonh38xBCKQphm8kyD2WXyOnvZEUAx
yquNuskk3Rnj5YkCjYkC/z2jXzuLNlgW9ZOaD2Sr1kC2YzG2BjGXlAOC7uF3li+j
l5BuwDKepYBXiyfSFJ8CnRQVUind4VLaj8p1pqR6HVVZKbIrFRj+0Oy1R+NvssWA
WEmdlKCq36iR9WKwNAVnGhLtzy6mSC4K+lj7ARKe26cgwC6NJ+4xC/8WhFHlFjJj
8ELnPfaxAgMBAAECggEAAIwDU/okbgcSpVRP6etnBpAM9ocWUKSPVm3yqTqj9R3I
JCPN698Aor+u5bFIH3C5TA5awBd4tslCCqKQqemnZN+cnsENTYUe5OJlI5nM+wll
FTHHZ+444gAylKhmZm6lsKd9ydvzjFKqBw39y4Pvmi8T1p/q8IaBZ0WvMuubwN7i
wAII0eQ4l22WGg51Hvx//z1vC1CWXYN2xr+exLcaHa6mt92gpjf5JP3e+CHC/2C+
RT358WT5tzIwj+vINT0nPuEfn7Vx2hJJYoHGbVfRrYiAcz7gS8pX7ntCORK99xX0
PN3bYby8m7cKoTNqsGy0xqValgj9kzhoCx9DquoasQKBgQDvFLmwfEwQPOdYk8xf
giubWKbBpPx9m4l+5/EjS6kHQyKbaWit2jE/cZOYLnicXd03ekktWjyy1NJoz07d
03mNHsCIAbI+50R3MCiGuYTR30N4b+Vv5ZG0n++0dYKIK994VHBLmBWhwP/rMicr
ID7hblJ5U7MiRW+f5L5Tr/yDDQKBgQDXN6hGwGVT+uE5/mB+yLv8imP/PL28PPPe
18qHc6pQCJXwJpSUB0OCjDrTdsmThSxT3FUuhM1QnzVCgqlbup4zThGVv+1cfql2
zc3DMyPf/o1g0x57pN8BmPS46MxbHyFtPNz0m7ELu24j5er+3jobkUCbNr6a/AdU
fVFWy3DpNQKBgQDZn4zzKAF42mdfipGC8pNNAaIxLEQk9dpvaSNnlGxUzviGbKm7
bpxber/1y39AHnTKFgbcQIJ16iFpBCNu6ht/qFlqs9iTR6Jbt7t7/wz2mPrqezhm
5Zn+x4LDSh+6Ye01s+7P8KzoIy0Q4wMiT2TNgMWT6OtrK7dS3T2eIdiBVQKBgFh8
IKqeNcr2bh2K8Z+O5oNpXr20+olnQhkP/cv9CTwIm6T2J8ZIyj/ladZBk5UcfuIn
x7ntjgCkxKAI2prFOn/7jA1WsL+DsCcRbJTh9NEGdpgllPXfDnU4rv1LcaHRRcwE
5w+G557cO+d0g06wjZGCAd8O/gT4tAbP015tHIo1AoGAIQyZoClXi7mSwLc6OWqI
SxlUNVlda0/D4uYlgNoANXXs50jbb2EswLoEd0GeT79Wd+bYgArDOVekxFTZ/1Z+
zPLQ+XrikzIbJuJOktAjXrdcy2RNfzeIoYMu+5cNWjq0XgcM9Qx+dZJaG6czdzqm
1jQnP6IXhkBVwFjDn67s90E=
-----END PRIVATE KEY-----
"""

ECDH_ES = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbWZdMTuLudFodUqI
u7ia3HnXPBw22Cexp0sKxFAPQf2hRANCAAQs7so6zoqef0pdkKmoP9jMwKPBIbo1
uFoN+lM/aXKjz2p/SzLDq9IHybIoNsV/P5kvCw1S4/MI7ilTp/Ylh4o2
-----END PRIVATE KEY-----
"""

_PEM = {"RS256": RS256, "ES256": ES256, "RSA-OAEP-256": RSA_OAEP_256, "ECDH-ES": ECDH_ES}
_opened: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {}


def private_key(algorithm: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """Return the fixed private key for this algorithm, opened once per process."""
    if algorithm not in _opened:
        opened = load_pem_private_key(_PEM[algorithm].encode(), None)
        _opened[algorithm] = cast(rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, opened)
    return _opened[algorithm]


def sealed(sealer: Sealer) -> tuple[SigningKey, ...]:
    """Return the fixed keys as records that sign since long ago, so that tests may go back in time."""
    moment = now() - 400 * DAY
    return tuple(
        seal_key(algorithm, private_key(algorithm), sealer, publishes_at=moment, signs_at=moment) for algorithm in _PEM
    )
