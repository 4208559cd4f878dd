#!/usr/bin/env python3
"""Google's protobuf reads our rows, and writes them as the same bytes.

    test_protoc.py PROTOC GOLDEN_DIR RANDOM_MESSAGES

For every row of rows.txt: protoc --decode shows the values of the record, and protoc --encode of what
it showed gives the row's bytes again. The same bytes also for nested.txt, and for rows of random
tables with the .proto that Sheaf exports for them.
"""
import base64
import datetime
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import uuid
from decimal import Decimal

PROTOC, GOLDEN, RANDOM = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
TABLES = 60
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def protoc(option, data, file="all_types.proto", message="sheaf.golden.AllTypes", path=GOLDEN):
    command = [PROTOC, f"--proto_path={path}", f"--{option}={message}"]
    done = subprocess.run(command + [file], input=data, stdout=subprocess.PIPE, check=True)
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


def golden(name):
    """(record, row) of a golden file."""
    lines = (GOLDEN / name).read_text(encoding="utf-8").split("\n")
    lines = [line for line in lines if line and not line.startswith("#")]
    return [(record, b"" if row == "-" else bytes.fromhex(row))
            for record, row in zip(lines[::2], lines[1::2])]


def changed_by_protoc(row, *of):
    """What protoc makes of the row, when it is other bytes."""
    again = protoc("encode", protoc("decode", row, *of), *of)
    return again if again != row else None


def check_nested():
    rows = [row for _, row in golden("nested.txt")]
    failed = [row for row in rows if changed_by_protoc(row, "nested.proto", "sheaf.golden.Nested")]
    for row in failed:
        print(f"protoc writes other bytes for {row.hex()}")
    return len(rows), len(failed)


def check_random():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sheaf-protoc-") as directory:
        subprocess.run([RANDOM, directory, str(TABLES)], check=True)
        for seed in range(TABLES):
            rows = pathlib.Path(directory, f"{seed}.bin").read_bytes()
            again = changed_by_protoc(rows, f"{seed}.proto", "sheaf.d.p.v1.All", directory)
            if again is not None:
                print(f"protoc writes other bytes for the rows of table {seed}:")
                print(rows.hex(), again.hex(), sep="\n")
                failed += 1
    return failed


def main():
    failed = 0
    rows = golden("rows.txt")
    for record, row in rows:
        text = protoc("decode", row)
        if shown(text.decode()) != expected(json.loads(record)):
            print(f"protoc shows\n{text.decode()}for {record}")
            failed += 1
        if protoc("encode", text) != row:
            print(f"protoc writes other bytes for {record}")
            failed += 1
    nested, nested_failed = check_nested()
    failed += nested_failed + check_random()
    print(f"{len(rows)} rows, {nested} with lists and structs, {TABLES} random tables, {failed} failures")
    return 1 if failed or not rows or not nested else 0


sys.exit(main())
