#!/usr/bin/env python3
"""Loads that break off and go on: kill -9 of the loader and of the leaf, Ctrl-C, files that change."""
import os
import signal
import subprocess
import sys

import fixture

PRODUCT = """sheaf: product/v1
product: sales/orders
version: 1.0.0
owner: orders@example.org
description: Orders.
tables:
  clicks:
    kind: event
    fields:
      page: {number: 1, type: string, required: true}
      n:    {number: 2, type: int64}
"""
RECORDS = 30000
BATCH = 100  # many requests: a load is still under way when it is looked at


def pages(m):
    return [row["page"] for row in m.rows("sales", "orders/clicks")]


def count(m):
    """Where the table stands, without reading it."""
    answer = m.leaves["sales"].call("GET", "/v1/products/sales/orders", None, m.token("sales"))
    return answer.json()["tables"][0]["rows"]


def write(m, name, prefix, records=RECORDS):
    path = m.directory / name
    with open(path, "w") as out:
        if name.endswith(".csv"):
            out.write("page,n\n")
            out.writelines(f'"{prefix}\n{i}",{i}\n' for i in range(records))
        else:
            out.writelines('{"page":"%s%d","n":%d}\n' % (prefix, i, i) for i in range(records))
    return path


def begin(m, path, *flags):
    """A load as a process, begun and not awaited."""
    return subprocess.Popen(
        [str(m.programs["sheaf"]), "product", "load", str(path), "--as", "sales/orders", "--batch",
         str(BATCH), *flags], env=m.environment | {"SHEAF_DEV_DIR": str(m.directory)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=m.directory, preexec_fn=fixture.die_with_parent)


def again(m, path, *flags, status=0):
    return m.sheaf("product", "load", path, "--as", "sales/orders", "--batch", str(BATCH), *flags,
                   status=status)


def some_stored(m, before, process):
    def stored():
        assert process.poll() is None, process.communicate()
        return count(m) >= before + 3 * BATCH
    fixture.until(stored, "some batches are stored", every_s=0.002)


def test_contract_stands(m):
    """The product comes into force"""
    m.patience_s = 120  # a load is RECORDS / BATCH synced commits, however long the disk takes for each
    m.apply("sales", PRODUCT)


def test_loader_killed(m):
    """kill -9 of the loader: run again, it goes on, and nothing is lost or there twice"""
    for name, prefix in (("k.ndjson", "k"), ("c.csv", "c\n")):
        before = count(m)
        path = write(m, name, prefix.strip())
        for _ in range(3):
            process = begin(m, path)
            some_stored(m, count(m) if count(m) > before else before, process)
            process.kill()
            process.communicate()
        done = again(m, path)
        assert "going on behind" in done.err, done
        assert count(m) == before + RECORDS, (count(m), before)
        assert pages(m)[before:] == [f"{prefix}{i}" for i in range(RECORDS)]
        assert not list((m.directory / "loads").iterdir())


def test_interrupted(m):
    """Ctrl-C ends a load behind a whole batch, says what is stored and how to go on"""
    before = count(m)
    path = write(m, "i.ndjson", "i")
    process = begin(m, path)
    some_stored(m, before, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, (process.returncode, err)
    stored = count(m) - before
    assert 3 * BATCH <= stored < RECORDS and stored % BATCH == 0, stored
    assert f"{stored:,} records of the file are stored; the same command goes on" in err, err
    done = again(m, path)
    assert f"going on behind {stored:,} records" in done.err, done
    assert pages(m)[before:] == [f"i{i}" for i in range(RECORDS)]


def test_leaf_killed(m):
    """kill -9 of the leaf: the loader waits for it and goes on; else the next run does"""
    before = count(m)
    path = write(m, "l.ndjson", "l")
    process = begin(m, path)
    some_stored(m, before, process)
    m.leaves["sales"].end()
    m.leaves["sales"].start()
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert pages(m)[before:] == [f"l{i}" for i in range(RECORDS)]
    before = count(m)
    path = write(m, "m.ndjson", "m")
    process = begin(m, path)
    some_stored(m, before, process)
    m.leaves["sales"].end()
    _, err = process.communicate()
    assert process.returncode != 0 and "the same command goes on" in err, err
    m.leaves["sales"].start()
    again(m, path)
    assert pages(m)[before:] == [f"m{i}" for i in range(RECORDS)]


def test_file_changed(m):
    """A file that changed since is refused until --again; a whole load may be done twice"""
    before = count(m)
    path = write(m, "f.ndjson", "f")
    process = begin(m, path)
    some_stored(m, before, process)
    process.kill()
    process.communicate()
    os.utime(path, (1, 1))
    done = again(m, path, status=2)
    assert "has changed since its load broke off" in done.err, done
    done = again(m, path, "--on-invalid", "reject", "--again")
    after = count(m)
    assert pages(m)[after - RECORDS:] == [f"f{i}" for i in range(RECORDS)]
    again(m, path)
    assert count(m) == after + RECORDS


TESTS = [test_contract_stands, test_loader_killed, test_interrupted, test_leaf_killed,
         test_file_changed]

if __name__ == "__main__":
    sys.exit(fixture.run(TESTS, ["sales"]))
