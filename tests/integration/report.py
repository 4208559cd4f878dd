"""What a test prints when it fails: short, and what matters most last, because logs get cut."""
import re
import shutil
import sys
import traceback

LOG_LINES, SERVER_LINES, LINE_MAX, TEXT_MAX = 15, 5, 300, 2000
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|assertion .* failed")
SERVER_GOOD = re.compile(r"^\[\d+\] \S+ \S+ \[(INF|DBG|TRC)\]")


def require_programs(*programs):
    """Ends the test before it begins, and before it writes into pages that nothing runs."""
    for program in programs:
        if not shutil.which(program):
            sys.exit(f"{sys.argv[0]}: no program: '{program}'")


def show_logs(home, prefix="# ", lines_max=LOG_LINES):
    """The ends of all logs below @home; of a nats-server only what it warns of."""
    for log in sorted(home.rglob("*.log")):
        if "db" in log.parts or "jetstream" in log.parts or "store" in log.parts:
            continue
        lines = [line for line in log.read_text(errors="replace").splitlines()
                 if not SERVER_GOOD.match(line)]
        if lines:
            print(f"{prefix}--- {log.relative_to(home)}")
        crash = next((i for i, line in enumerate(lines) if SANITIZER.search(line)), None)
        shown = min(lines_max, SERVER_LINES) if log.name.startswith("nats-server") else lines_max
        for line in lines[-shown:] if crash is None else lines[crash:crash + LOG_LINES]:
            print(f"{prefix}{line[:LINE_MAX]}")


def show_error(error, prefix="# "):
    """Where, then what, which may be long: its ends."""
    where = traceback.format_exception(type(error), error, error.__traceback__)
    for line in "".join(where[:-1]).splitlines():
        if "^^^" not in line:
            print(f"{prefix}{line[:LINE_MAX]}")
    text = where[-1].rstrip()
    if len(text) > TEXT_MAX:
        text = f"{text[:TEXT_MAX // 2]}\n[...]\n{text[-TEXT_MAX // 2:]}"
    for line in text.splitlines():
        print(f"{prefix}{line}")
