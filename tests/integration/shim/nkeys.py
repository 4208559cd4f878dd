"""What nats-py needs of the package nkeys, in pure Python: the package would bring a compiled one."""
import base64
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import ed25519  # noqa: E402

USER = 20 << 3


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc.to_bytes(2, "little")


class KeyPair:
    def __init__(self, seed):
        raw = base64.b32decode(bytes(seed) + b"=" * (-len(seed) % 8))
        self.secret = raw[2:34]
        data = bytes([USER]) + ed25519.public_key(self.secret)
        self.public_key = base64.b32encode(data + crc16(data)).rstrip(b"=")

    def sign(self, data):
        return ed25519.sign(self.secret, data)

    def wipe(self):
        self.secret = b""


def from_seed(seed):
    return KeyPair(seed)
