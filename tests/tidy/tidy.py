#!/usr/bin/env python3
"""Rules of this repository that no compiler sees. Prints file:line: message; exits 1 if any.

    tidy.py ROOT                 check
    tidy.py ROOT --write-errors  write docs/reference/errors.md from proto/errors.h

Every rule is a function from the tree (path -> text) to findings, so that test_tidy.py can show each
of them failing.
"""
import pathlib
import re
import sys

# --- what the rules know -------------------------------------------------------------------------

# Directory -> what it may include besides itself. The longest matching directory decides.
BASE, SYS, WIRE = "common/base", "common/sys", "common/wire"
CONTRACT, IDENTITY, BUS = "common/contract", "common/identity", "common/bus"
LEAF_STORE = ["common", "proto", "leaf/rowcodec", "leaf/store"]
LEAF_SERVICE = LEAF_STORE + ["leaf/serving"]
ANYTHING = ["common", "proto", "leaf", "hub", "cli", "tests/lib"]
LAYERS = {
    "proto": [],
    BASE: [],
    SYS: [BASE],
    WIRE: [BASE, "proto"],
    CONTRACT: [BASE, WIRE, "proto"],
    "common/expr": [BASE, WIRE, CONTRACT, "proto"],
    "common/mask": [BASE, WIRE, CONTRACT, "proto"],
    "common/policy": [BASE, WIRE, CONTRACT, "common/expr", "common/mask", "proto"],
    "common/settings": [BASE, SYS, WIRE, "proto"],
    IDENTITY: [BASE, SYS, WIRE, "proto"],
    BUS: [BASE, SYS, WIRE, "proto"],
    "leaf/rowcodec": [BASE, WIRE, CONTRACT, "proto"],
    "leaf/store": [BASE, SYS, "proto", "leaf/rowcodec"],
    "leaf/serving": LEAF_STORE,
    "leaf/ingest": LEAF_SERVICE,
    "leaf/publish": LEAF_SERVICE,
    "leaf/quality": LEAF_SERVICE,
    "leaf/query": LEAF_SERVICE,
    "leaf/uplink": LEAF_SERVICE,
    "leaf/admin": LEAF_SERVICE,
    "leaf": ["common", "proto", "leaf"],
    "hub/policy": [BASE, CONTRACT, "proto"],
    "hub/governance": [BASE, CONTRACT, "common/expr", "common/mask", "common/policy", "proto"],
    "hub/events": ["common", "proto"],
    "hub/registry": ["common", "proto"],
    "hub/claims": [BASE, SYS, WIRE, IDENTITY, BUS, "proto", "hub/policy"],
    "hub/api": ["common", "proto", "hub"],
    "hub": ["common", "proto", "hub"],
    "cli": ["common", "proto"],
    "tests": ANYTHING + ["tests"],
    "bench": ANYTHING + ["bench"],
}
PRODUCT = ("proto/", "common/", "leaf/", "hub/", "cli/")

# A foreign header has one owner; tests and bench may use any of them.
FOREIGN = {
    "uv.h": SYS,
    "uv/": SYS,
    "sodium": SYS,
    "microhttpd": SYS,
    "curl/": SYS,
    "nats/": BUS,
    "rocksdb/": "leaf/store",
    "yyjson": WIRE,
    "libfyaml": WIRE,
    "zlib": WIRE,
    "zstd": WIRE,
    "pcre2": CONTRACT,
    "protobuf-c/": "proto",
    "cmocka": "tests/lib",
    "openssl/": "nothing here",
}

BANNED = re.compile(
    r"\b(strcpy|strcat|sprintf|vsprintf|strtok|gets|atoi|atol|atoll|atof|alloca|system|popen|tmpnam"
    r"|rand|srand|sleep|usleep|nanosleep|setjmp|longjmp)\s*\("
)
HEAP = re.compile(
    r"(?<![\w.>])(malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign|free|strdup"
    r"|strndup|asprintf|vasprintf)\s*\("
)
UNSET_CLEANUP = re.compile(r"(?<!#define )\bSF_CLEANUP\(\w+\)[^=;{}]*;")
HEAP_OWNERS = ("common/base/alloc.",)
FREE_OWNERS = HEAP_OWNERS + (SYS + "/",)  # scandir() and its like hand out the C library's memory.
SLEEP_HOMES = ("tests/lib/", "tests/tidy/")
SLEEP_OF_SCRIPTS = {".py": re.compile(r"\btime\.sleep\("), ".sh": re.compile(r"^\s*sleep\b")}

# Where a subject may be spelled out; elsewhere proto/subjects.h builds it.
SUBJECT = re.compile(r"^(dp|dpq|mesh|own)\.|\$(SYS|JS)\b")
SUBJECT_HOMES = ("proto/subjects.", BUS + "/", "hub/claims/", "hub/events/", "tests/", "bench/")

# Package registries are read from the machine's own settings, never named.
REGISTRY = re.compile(
    r"\b(debian|golang|pypi|pythonhosted|npmjs|nodesource|crates|maven)\.(org|io|com|dev|net)\b", re.I
)
TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")

COLUMNS, FILE_LINES, HEADER_LINES, FUNCTION_LINES = 100, 800, 300, 80
CODE = (".c", ".h")
TEXT = CODE + (".py", ".sh", ".md", ".build", ".proto", ".yml", ".yaml", ".txt")
SKIPPED_DIRS = re.compile(r"^(build.*|\.deps|\.git|\.cache|__pycache__|corpus|golden)$")

# --- reading C -----------------------------------------------------------------------------------

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(text, keep_strings=False):
    """The text with comments (and contents of strings) gone and every line where it was."""

    def replace(found):
        token = found[0]
        if token[0] == '"':
            return token if keep_strings else '""'
        if token[0] == "'":
            return "' '"
        return " " + "\n" * token.count("\n")

    return TOKEN.sub(replace, text)


def strings(text):
    """(line, contents) of each string literal outside comments and #include lines."""
    for found in TOKEN.finditer(text):
        if found[0][0] == '"':
            before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
            if not before.lstrip().startswith("#include"):
                yield text.count("\n", 0, found.start()) + 1, found[0][1:-1]


def includes(text):
    """(line, quote, path) of each include."""
    for no, line in enumerate(blank(text, keep_strings=True).split("\n"), 1):
        found = re.match(r'\s*#\s*include\s*(["<])([^">]+)', line)
        if found:
            yield no, found[1], found[2]


def layer_of(path):
    fits = [name for name in LAYERS if path == name or path.startswith(name + "/")]
    return max(fits, key=len, default=None)


def inside(path, homes):
    return any(path == home or path.startswith(home.rstrip("/") + "/") for home in homes)


# --- rules: each yields (path, line, message) ----------------------------------------------------


def code_of(tree):
    return ((path, text) for path, text in tree.items() if path.endswith(CODE) and layer_of(path))


def check_layers(tree):
    for path, text in code_of(tree):
        mine = layer_of(path)
        allowed = [mine] + LAYERS[mine]
        for no, quote, what in includes(text):
            if quote == "<":
                continue
            if what.endswith(".pb-c.h"):
                if "proto" not in allowed and mine not in ("tests", "bench"):
                    yield path, no, f"{mine} may not include {what}"
            elif what not in tree:
                yield path, no, f'"{what}" is not a file here: write the path from the top'
            elif not inside(what, allowed):
                yield path, no, f"{mine} may not include {what}"


def check_foreign(tree):
    for path, text in code_of(tree):
        mine = layer_of(path)
        for no, quote, what in includes(text):
            for prefix, owner in FOREIGN.items():
                if quote == "<" and what.startswith(prefix) and mine != owner:
                    if prefix == "cmocka" and path != "tests/lib/cmocka.h":
                        yield path, no, 'include "tests/lib/cmocka.h" instead of <cmocka.h>'
                    elif prefix != "cmocka" and mine not in ("tests", "bench"):
                        yield path, no, f"<{what}> belongs to {owner} alone"


def check_own_header_first(tree):
    for path, text in code_of(tree):
        own = path[:-1] + "h"
        if path.endswith(".c") and own in tree:
            first = next(includes(text), (1, "", ""))
            if first[2] != own:
                yield path, first[0], f'the first include is "{own}"'


def check_headers(tree):
    for path, text in code_of(tree):
        if path.endswith(".h"):
            first = next((line for line in blank(text).split("\n") if line.strip()), "")
            if first.strip() != "#pragma once":
                yield path, 1, "a header begins with #pragma once"


def check_calls(tree):
    for path, text in code_of(tree):
        for no, line in enumerate(blank(text).split("\n"), 1):
            for found in BANNED.finditer(line):
                yield path, no, f"{found[1]}() is banned"
            for found in HEAP.finditer(line):
                if not path.startswith(FREE_OWNERS if found[1] == "free" else HEAP_OWNERS):
                    yield path, no, f"{found[1]}(): the heap is used by common/base/alloc.h only"


def check_cleanups(tree):
    for path, text in code_of(tree):
        clean = blank(text)
        for found in UNSET_CLEANUP.finditer(clean):
            no = clean.count("\n", 0, found.start()) + 1
            yield path, no, "what is cleaned up has a value from the start: an early return cleans it up too"


def check_sleeps_of_scripts(tree):
    for path, text in tree.items():
        pattern = SLEEP_OF_SCRIPTS.get(pathlib.PurePath(path).suffix)
        if not pattern or not path.startswith("tests/") or path.startswith(SLEEP_HOMES):
            continue
        for no, line in enumerate(text.split("\n"), 1):
            if pattern.search(line):
                yield path, no, "a test does not sleep: wait for a condition with a helper of tests/lib"


def check_typedefs(tree):
    for path, text in code_of(tree):
        clean = blank(text)
        for found in re.finditer(r"^\s*typedef\b([^;{]*)", clean, re.M):
            if "(" not in found[1]:
                no = clean.count("\n", 0, found.start(1)) + 1
                yield path, no, "typedef is for function pointers only"


def check_sizes(tree):
    for path, text in code_of(tree):
        lines = text.rstrip("\n").split("\n")
        limit = HEADER_LINES if path.endswith(".h") else FILE_LINES
        if len(lines) > limit:
            yield path, limit, f"{len(lines)} lines: split it at a seam (limit {limit})"
        start = None
        for no, line in enumerate(lines, 1):
            if len(line) > COLUMNS:
                yield path, no, f"longer than {COLUMNS} columns"
            if line == "{":
                start = no
            elif line == "}" and start is not None:
                if no - start - 1 > FUNCTION_LINES:
                    yield path, start, f"function of {no - start - 1} lines (limit {FUNCTION_LINES})"
                start = None


def check_subjects(tree):
    for path, text in code_of(tree):
        if path.startswith(SUBJECT_HOMES):
            continue
        for no, contents in strings(text):
            if SUBJECT.search(contents):
                yield path, no, f'subject "{contents}" is spelled out: use proto/subjects.h'


def check_text(tree):
    for path, text in tree.items():
        if path.startswith("tests/tidy/"):
            continue
        for no, line in enumerate(text.split("\n"), 1):
            if REGISTRY.search(line):
                yield path, no, "a package registry's host is named"
            if path.endswith(TEXT) and TODO.search(line):
                yield path, no, "a TODO names an issue: TODO(#123)"
            if path.endswith(TEXT) and line != line.rstrip():
                yield path, no, "white space at the end of the line"
        if path.endswith(TEXT) and text and not text.endswith("\n"):
            yield path, text.count("\n") + 1, "no newline at the end of the file"


def check_built(tree):
    """A source that no meson.build of its directory names is dead."""
    for path, _ in code_of(tree):
        if not path.startswith(PRODUCT) or not path.endswith(".c"):
            continue
        directory, _, name = path.rpartition("/")
        build = tree.get(directory + "/meson.build", "")
        if not re.search(rf"['/]{re.escape(name[:-2])}(\.c)?'", build):
            yield path, 1, "no meson.build names this file"


def check_links(tree):
    for path, text in tree.items():
        if not path.endswith(".md"):
            continue
        for no, line in enumerate(text.split("\n"), 1):
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                if "://" in target or target.startswith("mailto:"):
                    continue
                parts = []
                for part in (pathlib.PurePosixPath(path).parent / target).parts:
                    parts = parts[:-1] if part == ".." else parts + [part]
                full = "/".join(parts)
                if full not in tree and not any(other.startswith(full + "/") for other in tree):
                    yield path, no, f"link to {target}, which is not there"


def check_decisions(tree):
    seen = {}
    for path, text in sorted(tree.items()):
        if not path.startswith("docs/adr/"):
            continue
        found = re.fullmatch(r"docs/adr/(\d{4})-[a-z0-9-]+\.md", path)
        if not found:
            yield path, 1, "a decision's file is named NNNN-words.md"
            continue
        if found[1] in seen:
            yield path, 1, f"number {found[1]} is taken by {seen[found[1]]}"
        seen[found[1]] = path
        for heading in ("Context", "Decision", "Cost", "What would change our mind"):
            if not re.search(rf"^\*\*{heading}\.\*\*|^## {heading}$", text, re.M):
                yield path, 1, f"a decision has a part '{heading}'"


# --- the table of errors and its page ------------------------------------------------------------

ERRORS_H, ERRORS_MD = "proto/errors.h", "docs/reference/errors.md"
AREAS = {
    1: "Product file", 2: "Records", 3: "Requests", 4: "Access", 5: "Identity",
    6: "Storage and limits", 7: "Processes and mesh", 8: "Command line",
}
STRING = re.compile(r'"((?:\\.|[^"\\])*)"')
ERROR_ROW = re.compile(
    r"X\(\s*(\w+),\s*(\d+),\s*(\d+),\s*(\d+),"
    rf"\s*((?:{STRING.pattern}\s*)+),\s*((?:{STRING.pattern}\s*)+)\)"
)


def joined(literals):
    return "".join(STRING.findall(literals)).replace('\\"', '"')


def error_rows(header):
    """(symbol, number, HTTP status, exit code, title, next step) of each entry."""
    return [
        (m[1], int(m[2]), int(m[3]), int(m[4]), joined(m[5]), joined(m[7]))
        for m in ERROR_ROW.finditer(header.replace("\\\n", "\n"))
    ]


def errors_page(header):
    lines = [
        "# Errors",
        "",
        "One table for the command line, HTTP and NATS. A message shows the code, the place, the cause and",
        "the next step; the JSON of an answer carries them as `code`, `detail` and `next`. A code never",
        "changes its meaning. This page is written from `proto/errors.h` by `tests/tidy/tidy.py . --write-errors`.",
    ]
    area = None
    rows = sorted(error_rows(header), key=lambda row: row[1])
    for _, number, status, exit_code, title, following in rows:
        if number // 100 != area:
            area = number // 100
            lines += ["", f"## {AREAS[area]}", ""]
            lines += ["| code | what it means | next step | HTTP | exit code |", "|---|---|---|---|---|"]
        cells = [cell.replace("|", "\\|") for cell in (title, following)]
        lines.append(f"| SHEAF-E{number:04} | {cells[0]} | {cells[1]} | {status} | {exit_code} |")
    return "\n".join(lines) + "\n"


def check_errors(tree):
    header = tree.get(ERRORS_H)
    if header is None:
        return
    rows = error_rows(header)
    declared = len(re.findall(r"^\s*X\(", header, re.M))
    if declared != len(rows):
        yield ERRORS_H, 1, f"{declared} entries, but only {len(rows)} can be read"
    numbers = [row[1] for row in rows]
    for number in sorted({n for n in numbers if numbers.count(n) > 1}):
        yield ERRORS_H, 1, f"number {number} stands twice"
    if numbers != sorted(numbers):
        yield ERRORS_H, 1, "entries stand in the order of their numbers"
    homeless = [number for number in numbers if number // 100 not in AREAS]
    for number in homeless:
        yield ERRORS_H, 1, f"number {number} is in no area"
    if not homeless and tree.get(ERRORS_MD) != errors_page(header):
        yield ERRORS_MD, 1, "differs from proto/errors.h: run tests/tidy/tidy.py . --write-errors"


RULES = [
    check_layers, check_foreign, check_own_header_first, check_headers, check_calls,
    check_cleanups, check_sleeps_of_scripts, check_typedefs, check_sizes, check_subjects, check_text, check_built,
    check_links, check_decisions, check_errors,
]


def findings(tree):
    return sorted(found for rule in RULES for found in rule(tree))


def read_tree(root):
    tree = {}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(SKIPPED_DIRS.match(part) for part in parts[:-1]) or not path.is_file():
            continue
        if SKIPPED_DIRS.match(parts[-1]) or path.stat().st_size > 1 << 20:
            continue
        try:
            tree["/".join(parts)] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # Data of a test.
    return tree


def main(arguments):
    root = pathlib.Path(arguments[0]).resolve()
    if "--write-errors" in arguments:
        page = root / ERRORS_MD
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(errors_page((root / ERRORS_H).read_text()))
        return 0
    found = findings(read_tree(root))
    for path, no, message in found:
        print(f"{path}:{no}: {message}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
