#!/usr/bin/env python3
"""Reads meson's testlog.json: prints the output of each test that failed, then once more, short, why
each of them failed, then 'N passed, N failed'. A log that was cut at its beginning still tells why.

A test program that speaks TAP counts by its cases, any other one counts as one. Exits 1 when
something failed or nothing ran.
"""
import json
import pathlib
import re
import sys

LINES_SHOWN = 200
LINES_REPEATED, LINES_REPEATED_ALL, LINE_MAX = 20, 200, 500
GOOD = {"OK", "EXPECTEDFAIL"}
TAP_LINE = re.compile(r"^(not )?ok \d+\b(.*)$", re.M)
SANITIZER = re.compile(r"^.*(?:ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:)", re.M)


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


def first_failure(text):
    """The lines of the first case that failed, and the names of the others."""
    cases = list(TAP_LINE.finditer(text))
    bad = [i for i, case in enumerate(cases) if case[1]]
    if not bad:
        return [], []
    end = cases[bad[0] + 1].start() if bad[0] + 1 < len(cases) else len(text)
    return text[cases[bad[0]].start():end].splitlines(), [cases[i][0] for i in bad[1:]]


def repeat(test, lines_max):
    """Of the first failure the end, where its reason stands. Others may only follow from it."""
    errors = (test.get("stderr") or "").splitlines()
    lines, others = first_failure(test.get("stdout") or "")
    sanitizer = SANITIZER.search(test.get("stderr") or "")
    if sanitizer:
        lines = lines[:1] + test["stderr"][sanitizer.start():].splitlines()[:lines_max]
    elif not lines:
        lines = (errors or (test.get("stdout") or "").splitlines())[-lines_max:]
    elif len(lines) == 1:
        lines += errors[-lines_max:]
    elif len(lines) > lines_max + 1:
        lines = [lines[0], "[...]", *lines[-lines_max:]]
    print(f"\n--- why {test['name']} failed: {test['result']}, exit status {test.get('returncode')}")
    for line in [*lines, *others[:5]]:
        print(line[:LINE_MAX])
    if len(others) > 5:
        print(f"[and {len(others) - 5} more]")


def summarize(tests, meson_status):
    passed = failed = 0
    skipped, bad_tests = [], []
    for test in tests:
        ok, bad, left_out = count(test)
        passed += ok
        failed += bad
        if left_out:
            skipped.append(test["name"])
        if bad:
            bad_tests.append(test)
            show(test)
    if not tests:
        print("no test ran")
        failed = 1
    elif meson_status != 0 and failed == 0:
        print(f"meson test ended with status {meson_status}")
        failed = 1
    if skipped:
        print(f"\nskipped: {', '.join(skipped)}")
    for test in bad_tests:
        repeat(test, max(4, min(LINES_REPEATED, LINES_REPEATED_ALL // len(bad_tests))))
    if bad_tests:
        print(f"\nfailed: {', '.join(test['name'] for test in bad_tests)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    log = pathlib.Path(sys.argv[1])
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    sys.exit(summarize([json.loads(line) for line in lines if line.strip()], int(sys.argv[2])))


if __name__ == "__main__":
    main()
