#!/usr/bin/env python3
"""The quick start of README.md, run as it stands there, its output compared, and what it gives to try.

    quickstart.py README SHEAF NATS_SERVER
    quickstart.py --write README SHEAF NATS_SERVER   puts what the commands print into README

Only ports, lengths of time and the end date of the grant may differ.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import report

BEGIN, END = "<!-- quick start:", "<!-- quick start ends -->"
DEADLINE_S = 120


def block_of(readme):
    """(start, end) of the text between the fences of the marked block."""
    begin = readme.index("```\n", readme.index(BEGIN)) + 4
    return begin, readme.index("```\n" + END, begin)


def commands_of(block):
    """[(command, expected output)]"""
    found = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:].rstrip("\n"), ""])
        else:
            found[-1][1] += line
    return found


def more_to_try(readme):
    """Commands without what stands beside them."""
    begin = readme.index("```\n", readme.index("More to try:")) + 4
    lines = readme[begin:readme.index("```", begin)].splitlines()
    return [line.partition("  #")[0].rstrip() for line in lines]


def normal(text):
    text = re.sub(r"(127\.0\.0\.1:)\d+", r"\1PORT", text)
    text = re.sub(r"\d+\.\d+ s\b", "N s", text)
    return re.sub(r"until \d{4}-\d\d-\d\d", "until DATE", text)


def run(command, directory, environment):
    done = subprocess.run(
        command, shell=True, cwd=directory, env=environment, timeout=DEADLINE_S,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )
    return done.returncode, done.stdout.decode()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the mesh is ended
    write = "--write" in sys.argv
    readme_path, sheaf, nats_server = [a for a in sys.argv[1:] if a != "--write"]
    report.require_programs(sheaf, nats_server)
    readme_path = pathlib.Path(readme_path).resolve()
    readme = readme_path.read_text()
    start, end = block_of(readme)
    home = tempfile.mkdtemp(prefix="sheaf-quickstart-")
    (pathlib.Path(home) / "examples").symlink_to(readme_path.parent / "examples")
    environment = {
        key: value for key, value in os.environ.items()
        if not key.startswith(("SHEAF_", "XDG_")) and key not in ("NO_COLOR", "FORCE_COLOR")
    }
    environment |= {
        "HOME": home, "USER": "you", "SHEAF_NATS_SERVER": nats_server,
        "PATH": f"{pathlib.Path(sheaf).resolve().parent}:{environment['PATH']}",
    }
    failed = False
    printed = ""
    try:
        for command, expected in commands_of(readme[start:end]):
            status, output = run(command, home, environment)
            printed += f"$ {command}\n{output}"
            if status != 0 or (not write and normal(output) != normal(expected)):
                failed = True
                report.show_logs(pathlib.Path(home))
                print(f"$ {command}\n--- exit status {status}, README shows\n{expected}"
                      f"--- it printed\n{output}")
                break
        for command in [] if failed else more_to_try(readme):
            status, output = run(command, home, environment)
            if status != 0 or not output:
                failed = True
                print(f"$ {command}\n--- exit status {status}, it printed\n{output}")
    finally:
        run("sheaf dev stop", home, environment)
        shutil.rmtree(home, ignore_errors=True)
    if write and not failed:
        readme_path.write_text(readme[:start] + printed + readme[end:])
    print("failed" if failed else "ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
