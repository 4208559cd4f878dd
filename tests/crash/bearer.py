"""Bearer tokens for the mesh under test: JWTs signed with ed25519 (RFC 8032), which Python's own
library lacks. Slow and not hardened against watching: for tests only."""
import base64
import hashlib
import json
import time

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def _add(a, b):
    """Extended coordinates (X, Y, Z, T), RFC 8032 5.1.4."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def _multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar > 0:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _encode(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def sign(seed, message):
    """64 bytes: the ed25519 signature of @message under the key of 32 bytes of @seed."""
    digest = hashlib.sha512(seed).digest()
    secret = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
    public = _encode(_multiply(secret, BASE))
    nonce = _number(digest[32:], message) % L
    commitment = _encode(_multiply(nonce, BASE))
    proof = (nonce + _number(commitment, public, message) * secret) % L
    return commitment + proof.to_bytes(32, "little")


def _base64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def make(seed, issuer, mesh):
    """A token of @issuer (a domain or "platform") for 50 minutes."""
    now = int(time.time())
    claims = {"iss": issuer, "sub": "crash", "roles": ["owner"], "iat": now, "exp": now + 3000,
              "aud": mesh}
    text = _base64(b'{"alg":"EdDSA","typ":"JWT"}') + b"." + _base64(json.dumps(claims).encode())
    return (text + b"." + _base64(sign(seed, text))).decode()
