#!/usr/bin/env python3
"""Reads meson's testlog.json: prints the output of each test that failed, then 'N passed, N failed'.

A test program that speaks TAP counts by its cases, any other one counts as one. Exits 1 when
something failed or nothing ran.
"""
import json
import pathlib
import re
import sys

LINES_SHOWN = 200
GOOD = {"OK", "EXPECTEDFAIL"}
TAP_LINE = re.compile(r"^(not )?ok \d+\b(.*)$", re.M)


def count(test):
    """(passed, failed, skipped) of one program."""
    if test["result"] == "SKIP":
        return 0, 0, 1
    passed = failed = skipped = 0
    for bad, rest in TAP_LINE.findall(test.get("stdout") or ""):
        if re.search(r"#\s*skip", rest, re.I):
            skipped += 1
        elif bad:
            failed += 1
        else:
            passed += 1
    if test["result"] not in GOOD and failed == 0:
        failed = 1  # A crash, a time-out or a sanitizer's report behind the last case.
    if passed + failed + skipped == 0:
        passed = 1
    return passed, failed, skipped


def show(test):
    print(f"\n--- {test['name']}: {test['result']}, exit status {test.get('returncode')}")
    for stream in ("stdout", "stderr"):
        lines = (test.get(stream) or "").splitlines()
        if len(lines) > LINES_SHOWN:
            print(f"[{len(lines) - LINES_SHOWN} lines of {stream} left out]")
        print("\n".join(lines[-LINES_SHOWN:]))
    print(f"--- end of {test['name']}")


def summarize(tests, meson_status):
    passed = failed = 0
    skipped = []
    for test in tests:
        ok, bad, left_out = count(test)
        passed += ok
        failed += bad
        if left_out:
            skipped.append(test["name"])
        if bad:
            show(test)
    if not tests:
        print("no test ran")
        failed = 1
    elif meson_status != 0 and failed == 0:
        print(f"meson test ended with status {meson_status}")
        failed = 1
    if skipped:
        print(f"\nskipped: {', '.join(skipped)}")
    names = [test["name"] for test in tests if count(test)[1]]
    if names:
        print(f"\nfailed: {', '.join(names)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    log = pathlib.Path(sys.argv[1])
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    sys.exit(summarize([json.loads(line) for line in lines if line.strip()], int(sys.argv[2])))


if __name__ == "__main__":
    main()
