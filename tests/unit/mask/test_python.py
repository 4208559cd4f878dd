#!/usr/bin/env python3
"""The masks of docs/reference/masks.md in Python, compared with common/mask over random values.

    test_python.py MASKED_VALUES COUNT
"""
import datetime
import decimal
import hashlib
import math
import re
import struct
import subprocess
import sys
from decimal import Decimal

decimal.getcontext().prec = 400
KEY = bytes(range(32))
EPOCH = datetime.date(1970, 1, 1)
VARINTS = ("bool", "int32", "int64", "decimal", "date")
DAY = 86400 * 1000000


class Null(Exception):
    """The mask cannot tell what stands there."""


# --- the wire ------------------------------------------------------------------------------------


def get_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def put_varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def is_wide(kind, precision):
    return kind == "decimal" and precision > 18


def wire_of(kind, precision):
    if kind in VARINTS and not is_wide(kind, precision):
        return 0
    return {"timestamp": 1, "double": 1, "float": 5}.get(kind, 2)


def decode(kind, precision, row):
    """(field number, value) of a row of one scalar field."""
    tag, at = get_varint(row, 0)
    assert tag & 7 == wire_of(kind, precision), (kind, row)
    if tag & 7 == 0:
        raw, at = get_varint(row, at)
        value = raw if kind == "bool" else (raw >> 1) ^ -(raw & 1)
    elif tag & 7 == 2:
        size, at = get_varint(row, at)
        value = row[at : at + size]
        at += size
        if kind == "decimal":
            value = int.from_bytes(value, "big", signed=True)
    else:
        form = {"timestamp": "<q", "double": "<d", "float": "<f"}[kind]
        value = struct.unpack_from(form, row, at)[0]
        at += struct.calcsize(form)
    assert at == len(row)
    return tag >> 3, value


def encode(kind, precision, number, value):
    wire = wire_of(kind, precision)
    tag = put_varint(number << 3 | wire)
    if wire == 0:
        return tag + put_varint(value if kind == "bool" else (value << 1) ^ (value >> 63) & (2**64 - 1)
                                if value >= 0 else (-value << 1) - 1)
    if wire == 2:
        if kind == "decimal":
            value = value.to_bytes(16, "big", signed=True)
        return tag + put_varint(len(value)) + value
    return tag + struct.pack({"timestamp": "<q", "double": "<d", "float": "<f"}[kind], value)


# --- the masks -----------------------------------------------------------------------------------


def range_of(kind, precision):
    if kind in ("int32", "int64"):
        bits = int(kind[3:]) - 1
        return -(2**bits), 2**bits - 1
    return 1 - 10**precision, 10**precision - 1


def nearest(fraction):
    """Half away from zero."""
    return int(Decimal(fraction).quantize(Decimal(1), rounding=decimal.ROUND_HALF_UP))


def to_grid(name, value, step, low, high):
    if name == "bucket":
        k = value // step
    else:
        k = nearest(Decimal(value) / step)
    while not low <= k * step <= high:
        k += 1 if k < 0 else -1
    return k * step


def mask_double(name, arg, value):
    if name == "bucket":
        value = math.floor(decimal.Decimal(value) / int(arg)) * int(arg)
        if abs(value) >= 2**53:
            raise Null
        return float(value)
    scale = 10.0 ** abs(int(arg))
    scaled = value * scale if int(arg) > 0 else value / scale
    if math.isinf(scaled) or abs(nearest(scaled)) >= 2**50:
        raise Null
    return nearest(scaled) / scale if int(arg) > 0 else nearest(scaled) * scale


def mask_number(name, arg, kind, precision, scale, value):
    if kind in ("float", "double"):
        return mask_double(name, arg, value)
    unit = Decimal(10) ** (scale if kind == "decimal" else 0)
    step = Decimal(arg) if name == "bucket" else Decimal(10) ** -int(arg)
    return to_grid(name, value, int(step * unit), *range_of(kind, precision))


def first_day(part, days):
    day = EPOCH + datetime.timedelta(days=days)
    month = {"year": 1, "quarter": (day.month - 1) // 3 * 3 + 1, "month": day.month}[part]
    return (day.replace(day=1, month=month) - EPOCH).days


def truncate(part, kind, value):
    if kind == "date":
        return first_day(part, value)
    if part in ("hour", "day"):
        unit = DAY // 24 if part == "hour" else DAY
        return value // unit * unit
    return first_day(part, value // DAY) * DAY


def hashed(kind, scale, value):
    letter = {"bool": b"b", "int32": b"i", "int64": b"i", "date": b"d", "timestamp": b"t", "float": b"f",
              "double": b"f", "decimal": b"n", "string": b"s", "bytes": b"x", "uuid": b"u", "json": b"j"}[kind]
    if kind == "bool":
        value = bytes([value])
    elif kind in ("float", "double"):
        value = struct.pack("<d", value)
    elif kind == "decimal":
        value = bytes([scale]) + value.to_bytes(16, "big", signed=True)
    elif isinstance(value, int):
        value = struct.pack("<q", value)
    return hashlib.blake2b(letter + value, digest_size=16, key=KEY).hexdigest().encode()


def keep(name, arg, value):
    count, _, longer = arg.partition(",")
    text = value.decode()
    count, longer = int(count), int(longer or count)
    if len(text) <= longer:
        kept = "*" * count
    else:
        kept = text[:count] if name == "keep_first" else text[len(text) - count :]
    return (kept + "***" if name == "keep_first" else "***" + kept).encode()


def keep_domain(value):
    found = re.fullmatch(rb".*(@[A-Za-z0-9.-]+)", value, re.S)
    return b"***" + (found[1] if found else b"")


CONSTANTS = {
    "bool": lambda text, scale: int(text == "true"),
    "float": lambda text, scale: float(text),
    "double": lambda text, scale: float(text),
    "decimal": lambda text, scale: int(Decimal(text) * 10**scale),
    "string": lambda text, scale: text.encode(),
    "date": lambda text, scale: (datetime.date.fromisoformat(text) - EPOCH).days,
    "uuid": lambda text, scale: bytes.fromhex(text.replace("-", "")),
    "int32": lambda text, scale: int(text),
    "int64": lambda text, scale: int(text),
}


def constant(kind, text, scale):
    if kind == "bytes":
        import base64
        return base64.b64decode(text)
    if kind == "timestamp":
        delta = datetime.datetime.fromisoformat(text.rstrip("Z")) - datetime.datetime(1970, 1, 1)
        return (delta.days * 86400 + delta.seconds) * 1000000 + delta.microseconds
    return CONSTANTS[kind](text, scale)


def masked(kind, precision, scale, mask, row):
    """The masked row; raises Null. A field of number 1 when there is none in the row."""
    name, _, arg = mask.partition("(")
    arg = arg[:-1]
    if name == "":
        return row
    if name in ("omit", "null"):
        return b""
    if name == "constant":
        text = arg[1:-1].replace("''", "'")
        return lambda number: encode(kind, precision, number, constant(kind, text, scale))
    if not row:
        return b""
    number, value = decode(kind, precision, row)
    if name == "redact":
        return encode("string", 0, number, b"***")
    if name == "hash":
        return encode("string", 0, number, hashed(kind, scale, value))
    if name in ("bucket", "round"):
        value = mask_number(name, arg, kind, precision, scale, value)
        return encode("double" if kind == "float" else kind, precision, number, value + 0)
    if name == "truncate":
        return encode(kind, precision, number, truncate(arg, kind, value))
    return encode(kind, precision, number, keep_domain(value) if name == "keep_domain" else keep(name, arg, value))


def check(line):
    """(the line is as it must be, its mask)"""
    kind, precision, scale, mask, row, out, nulled = line.split("\t")
    mask, row = bytes.fromhex(mask).decode(), bytes.fromhex(row)
    try:
        wanted, wanted_nulled = masked(kind, int(precision), int(scale), mask, row), 0
    except Null:
        wanted, wanted_nulled = b"", 1
    if callable(wanted):
        out_bytes = bytes.fromhex(out)
        wanted = wanted(get_varint(out_bytes, 0)[0] >> 3)
        if row and get_varint(out_bytes, 0)[0] >> 3 != get_varint(row, 0)[0] >> 3:
            return False, mask
    return out == wanted.hex() and int(nulled) == wanted_nulled, mask


def main():
    process = subprocess.Popen(sys.argv[1:3], stdout=subprocess.PIPE, text=True)
    seen = {}
    for line in process.stdout:
        good, mask = check(line.rstrip("\n"))
        if not good:
            print("differs:", mask, line)
            return 1
        name = mask.partition("(")[0]
        seen[name] = seen.get(name, 0) + 1
    print("rows agree:", seen)
    complete = process.wait() == 0 and sum(seen.values()) == int(sys.argv[2])
    return 0 if len(seen) == 12 and complete else 1


if __name__ == "__main__":
    sys.exit(main())
