#!/usr/bin/env python3
"""Random damage in every kind of file of a leaf's store: found, or provably without effect."""
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

import fixture

PRODUCT = fixture.orders("n: {number: 2, type: int64}", rest="""\
  clicks:
    kind: event
    fields:
      n: {number: 1, type: int64}
""")
SEED = int(os.environ.get("TEST_DAMAGE_SEED", "1"))
PER_KIND = int(os.environ.get("TEST_DAMAGE_ROUNDS", "4"))  # of each kind of damage, per kind of file
# Their bytes say nothing of what is stored, and nothing is served out of them.
HARMLESS = {"LOG", "LOCK", "IDENTITY", "OPTIONS", "lock"}


def kind_of(path):
    return re.sub(r"-?\d+", "", path.name) if path.suffix not in (".sst", ".log") else path.suffix


def check(m, data):
    done = subprocess.run([str(m.programs["leaf"]), "check", "--data", str(data)],
                          env=m.environment, capture_output=True, timeout=60, check=False)
    assert b"Sanitizer" not in done.stderr and done.returncode >= 0, done
    return done


def dump(m, data):
    """Every row that is stored, as rows_of_store prints it; False when it cannot be read."""
    out = []
    for table in ("orders", "clicks"):
        done = subprocess.run(
            [str(m.programs["rows_of_store"]), str(data / "store"), "sales/orders", "1", table],
            env=m.environment, capture_output=True, timeout=60, check=False)
        out.append(done.stdout if done.returncode == 0 else False)
    return out


def flip(data, rng):
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]


def cut(data, rng):
    return data[:rng.randrange(len(data))]


def zero(data, rng):
    at = rng.randrange(len(data))
    return data[:at] + bytes(min(512, len(data) - at)) + data[at + 512:]


def test_damage(m):
    """A flipped bit, a cut and a zeroed page in each kind of file is found, or changes nothing"""
    rng = random.Random(SEED)
    sales = m.leaves["sales"]
    m.apply("sales", PRODUCT)
    for turn in range(4):  # tables from a stop, and a log from a kill
        began = fixture.time.time()
        rows = [{"k": f"k{i % 40}", "n": 100 * turn + i} for i in range(100)]
        assert m.load("sales", "orders/orders", rows).status == 200
        assert m.load("sales", "orders/clicks", [{"n": i} for i in range(50)]).status == 200
        bad = m.load("sales", "orders/orders", [{"k": 1}])
        assert bad.status in (200, 422), bad
        if turn == 2:
            sales.end(fixture.signal.SIGTERM)
            sales.start()
    fixture.until(lambda: check_heads(sales, began), "the head record has followed")
    sales.end()
    whole = m.directory / "whole"
    shutil.copytree(sales.data, whole)
    assert check(m, whole).returncode == 0
    rows = dump(m, shutil.copytree(whole, m.directory / "dumped"))
    assert [text.count(b"\n") for text in rows] == [40, 200], rows
    kinds = {}
    for path in [*(whole / "store").rglob("*"), whole / "heads"]:
        if path.is_file() and path.stat().st_size > 0 and kind_of(path) not in HARMLESS and \
                not path.name.startswith("LOG"):
            kinds.setdefault(kind_of(path), []).append(path.relative_to(whole))
    assert {".sst", ".log", "MANIFEST", "CURRENT", "FORMAT", "heads"} <= set(kinds), kinds
    found, without_effect = 0, []
    copy = m.directory / "copy"
    for kind, paths in sorted(kinds.items()):
        for damage in (flip, cut, zero):
            for _ in range(PER_KIND):
                path = rng.choice(paths)
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(whole, copy)
                before = (copy / path).read_bytes()
                after = damage(before, rng)
                (copy / path).write_bytes(after)
                if before == after:
                    continue
                done = check(m, copy)
                if done.returncode != 0:
                    assert b"SHEAF-E06" in done.stderr or done.returncode == 8 or done.stderr, done
                    found += 1
                    continue
                assert dump(m, copy) == rows, \
                    f"not found and not harmless: {damage.__name__} of {path}, seed {SEED}"
                without_effect.append(f"{damage.__name__} {kind}")
    print(f"# {found} found, {len(without_effect)} without effect: {sorted(set(without_effect))}")
    assert found > len(without_effect)


def check_heads(node, began):
    """The record names the newest commit of the store: written since @began, and not for a while."""
    written = (node.data / "heads").stat().st_mtime
    return written > began and fixture.time.time() - written > 2.5


if __name__ == "__main__":
    sys.exit(fixture.run([test_damage], ["sales"]))
