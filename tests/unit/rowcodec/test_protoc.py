#!/usr/bin/env python3
"""Google's protobuf reads our rows, and writes them as the same bytes.

    test_protoc.py PROTOC GOLDEN_DIR

For every row of rows.txt: protoc --decode shows the values of the record, and protoc --encode of what
it showed gives the row's bytes again.
"""
import base64
import datetime
import json
import pathlib
import struct
import subprocess
import sys
import uuid
from decimal import Decimal

PROTOC, GOLDEN = sys.argv[1], pathlib.Path(sys.argv[2])
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def protoc(option, data):
    command = [PROTOC, f"--proto_path={GOLDEN}", f"--{option}=sheaf.golden.AllTypes"]
    done = subprocess.run(
        command + ["all_types.proto"], input=data, stdout=subprocess.PIPE, check=True
    )
    return done.stdout


def quoted(data):
    """Bytes as protobuf's text form has them."""
    names = {9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 39: "\\'", 92: "\\\\"}
    return '"%s"' % "".join(
        names.get(b, chr(b) if 32 <= b < 127 else "\\%03o" % b) for b in data
    )


def microseconds(text):
    since = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH
    return (since.days * 86400 + since.seconds) * 10**6 + since.microseconds


def expected(record):
    """Name -> the value as protoc shows it; floats as numbers."""
    convert = {
        "flag": lambda v: "true" if v else "false",
        "small": str,
        "big": str,
        "ratio": lambda v: struct.unpack("<f", struct.pack("<f", v))[0],
        "measure": float,
        "price": lambda v: str(int(Decimal(v).scaleb(4))),
        "note": lambda v: quoted(v.encode()),
        "blob": lambda v: quoted(base64.b64decode(v)),
        "day": lambda v: str(
            (datetime.date.fromisoformat(v) - datetime.date(1970, 1, 1)).days
        ),
        "moment": lambda v: str(microseconds(v)),
        "id": lambda v: quoted(uuid.UUID(v).bytes),
    }
    return {name: convert[name](value) for name, value in record.items()}


def shown(text):
    fields = dict(line.split(": ", 1) for line in text.splitlines())
    if "ratio" in fields:
        fields["ratio"] = struct.unpack("<f", struct.pack("<f", float(fields["ratio"])))[0]
    if "measure" in fields:
        fields["measure"] = float(fields["measure"])
    return fields


def main():
    lines = (GOLDEN / "rows.txt").read_text(encoding="utf-8").split("\n")
    lines = [line for line in lines if line and not line.startswith("#")]
    failed = 0
    for record, row in zip(lines[::2], lines[1::2]):
        row = b"" if row == "-" else bytes.fromhex(row)
        text = protoc("decode", row)
        if shown(text.decode()) != expected(json.loads(record)):
            print(f"protoc shows\n{text.decode()}for {record}")
            failed += 1
        if protoc("encode", text) != row:
            print(f"protoc writes other bytes for {record}")
            failed += 1
    print(f"{len(lines) // 2} rows, {failed} failures")
    return 1 if failed or len(lines) < 2 else 0


sys.exit(main())
