"""Signatures of ed25519 (RFC 8032) with the standard library only: for tests, slow, no secrets."""
import functools
import hashlib

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def _add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e = (y1 - x1) * (y2 - x2) % P
    f = (y1 + x1) * (y2 + x2) % P
    g = 2 * t1 * t2 * D % P
    h = 2 * z1 * z2 % P
    k, l, m, n = f - e, h - g, h + g, f + e
    return k * l % P, m * n % P, l * m % P, k * n % P


def _base():
    y = 4 * pow(5, P - 2, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * ROOT % P
    x = P - x if x & 1 else x
    return x, y, 1, x * y % P


BASE = _base()


def _doublings():
    """BASE times one, two, four ..., so that a multiple of it is half the work."""
    points = [BASE]
    while len(points) < 256:
        points.append(_add(points[-1], points[-1]))
    return points


DOUBLINGS = _doublings()


def _times_base(number):
    result = (0, 1, 1, 0)
    for point in DOUBLINGS:
        if number & 1:
            result = _add(result, point)
        number >>= 1
    return result


@functools.lru_cache(maxsize=None)
def _public_of(number):
    return _bytes_of(_times_base(number))


def _bytes_of(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def _secret(seed):
    digest = hashlib.sha512(seed).digest()
    number = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    return number, digest[32:]


def public_key(seed):
    return _public_of(_secret(seed)[0])


def sign(seed, message):
    number, prefix = _secret(seed)
    public = _public_of(number)
    once = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % Q
    point = _bytes_of(_times_base(once))
    hashed = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little") % Q
    return point + ((once + hashed * number) % Q).to_bytes(32, "little")
