"""Fixed signing keys of the test server: making an RSA key takes longer than a test.

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

_opened: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {}


def private_key(algorithm: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """Return the fixed private key for RS256 or ES256, opened once per process."""
    if algorithm not in _opened:
        pem = RS256 if algorithm == "RS256" else ES256
        opened = load_pem_private_key(pem.encode(), None)
        _opened[algorithm] = cast(rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, opened)
    return _opened[algorithm]


def sealed(sealer: Sealer) -> tuple[SigningKey, ...]:
    """Return the fixed keys as records that sign since long ago, so that tests may go back in time."""
    moment = now() - 400 * DAY
    return tuple(
        seal_key(algorithm, private_key(algorithm), sealer, publishes_at=moment, signs_at=moment)
        for algorithm in ("RS256", "ES256")
    )
