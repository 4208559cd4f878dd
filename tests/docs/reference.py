#!/usr/bin/env python3
"""Compares docs/reference with the code it describes.

    reference.py SHEAF_LEAF SHEAF_HUB           TAP on stdout
    reference.py --write SHEAF_LEAF SHEAF_HUB   writes the tables of settings.md

settings.md with what --help says; http-hub.md with the routes of hub/api; http-leaf.md with the
table of leaf/leaf_routes.c; nats.md with the headers of proto; product-file.md with the keys the parser
knows; metrics.md with what is registered; failures.md with the names of tests. Texts of metrics.md need running
processes: tests/integration/docs.py.
"""
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs/reference"
sys.path.insert(0, str(ROOT / "tests/tidy"))
import tap  # noqa: E402

PROGRAMS = {}
SETTING = re.compile(r"^  --([a-z-]+)(?: (TEXT|N|TIME|SIZE))? +(.*)\n +\[(.*)\]$", re.M)


def page(name):
    return (PAGES / name).read_text()


def source(path):
    return (ROOT / path).read_text()


POLICY_KEY = re.compile(r'\{"(\w+)",\s+"(\w+)",\s+"([^"]*)",\s+"([^"]*)"\}')


def with_policy_keys(text):
    """The page with the tables of keys as common/policy has them."""
    code = re.sub(r'"\s+"', "", source("common/policy/policy_keys.c"))
    keys = POLICY_KEY.findall(code)
    assert len(keys) == code.count('{"'), "a key that is not understood"
    for of in dict.fromkeys(k[0] for k in keys):
        rows = [f"| `{name}` | {value} | {what} |" for o, name, value, what in keys if o == of]
        table = "\n".join(["| key | value | what |", "|---|---|---|", *rows])
        text = re.sub(rf"(<!-- keys of {of} -->\n)(\|.*\n)*", lambda m: m[1] + table + "\n", text)
    return text


def settings_table(program):
    """The settings of --help as a Markdown table."""
    text = subprocess.run([program, "--help"], capture_output=True, check=True).stdout.decode()
    rows = ["| flag | what | default | allowed | SIGHUP | variable |", "|---|---|---|---|---|---|"]
    for key, value, what, notes in SETTING.findall(text):
        notes = notes.split("; ")
        default = next((n[8:] for n in notes if n.startswith("default ")), "")
        reload = "yes" if "SIGHUP" in notes else ""
        allowed = next((n for n in notes if " to " in n or " or " in n), "")
        flag = f"--{key} {value}" if value else f"--{key}"
        rows.append(f"| `{flag}` | {what} | {f'`{default}`' if default else ''} | {allowed} | "
                    f"{reload} | `{notes[-1]}` |")
    return "\n".join(rows) + "\n"


def between(text, kind, name):
    """(start, end) of what stands between `<!-- kind: name -->` and the end mark."""
    begin = f"<!-- {kind}: {name} -->\n"
    start = text.index(begin) + len(begin)
    return start, text.index(f"<!-- {kind} end -->", start)


def write_settings():
    text = page("settings.md")
    for name, program in PROGRAMS.items():
        start, end = between(text, "settings", name)
        text = text[:start] + settings_table(program) + text[end:]
    (PAGES / "settings.md").write_text(text)


def strings_of(path, name):
    """The strings of `static const char *const NAME[] = {...}`."""
    block = re.search(r"\b%s\[\] = \{(.*?)\};" % name, source(path), re.S)
    return re.findall(r'"([^"]+)"', block.group(1))


def first_column(section):
    """The names in backticks of the first column of all tables."""
    return {name for row in re.findall(r"^\| (`[^|]*) \|", section, re.M)
            for name in re.findall(r"`([^`]+)`", row)}


def sections(text):
    """Heading -> text below it."""
    parts = re.split(r"^#+ (.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def anchors(text):
    """Of the headings of a page, as GitHub makes them."""
    found, seen = set(), {}
    for heading in re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return found


class Reference(unittest.TestCase):
    maxDiff = None

    def test_settings_are_those_of_help(self):
        for name, program in PROGRAMS.items():
            text = page("settings.md")
            start, end = between(text, "settings", name)
            self.assertGreater(settings_table(program).count("\n"), 5)
            self.assertEqual(settings_table(program), text[start:end],
                             "tests/docs/reference.py --write LEAF HUB")

    def test_limits_are_those_of_the_leaf(self):
        rows = re.search(r"\} rows\[\] = \{(.*?)\n\};", source("leaf/leaf_limits.c"), re.S)
        names = set(re.findall(r'\{"(\w+)",', rows.group(1)))
        text = sections(page("limits.md"))
        self.assertGreater(len(names), 10)
        self.assertEqual(first_column(text["With a setting or a count"]), names)
        headers = "".join(p.read_text() for d in ("common", "leaf", "proto")
                          for p in sorted((ROOT / d).rglob("*.[ch]")))
        for name in first_column(text["Constants"]):
            self.assertRegex(headers, r"\b%s\b *=|#define %s\b" % (name, name))

    def test_paths_of_the_hub_are_its_routes(self):
        plain = {("GET", p) for p in ("/livez", "/readyz", "/metrics")}
        routes = set(plain)
        for method, parts in re.findall(r'^    \{"([A-Z]+)", \{(.*?)\}', source("hub/api/api.c"), re.M):
            routes.add((method, "/" + "/".join(re.findall(r'"([^"]*)"', parts))))
        shown = set()
        for method, path in re.findall(r"^### ([A-Z]+) `(\S+)`$", page("http-hub.md"), re.M):
            path = path.replace("[@MAJOR]", "").replace("/AR-n", "/*").replace("/G-n", "/*")
            shown.add((method, re.sub(r"\{\w+\}", "*", path)))
        self.assertGreater(len(routes), 10)
        self.assertEqual(shown, routes)

    def test_paths_of_the_leaf_are_its_routes(self):
        code = source("leaf/leaf_routes.c")
        product = re.search(r'#define PRODUCT "(.*)"', code)[1]
        prefix = {"": "", "PRODUCT": product, "TABLE": product + "/{table}"}
        routes = set()
        for method, base, rest in re.findall(
                r'\{ROUTE_\w+,\s+"([A-Z]+)",\s+(PRODUCT|TABLE|)\s*(?:"([^"]*)")?,', code):
            path = prefix[base] + rest
            for name, shown in (("domain", "D"), ("product", "P"), ("table", "T"), ("key", "KEY"), ("entry", "N")):
                path = path.replace("{" + name + "}", shown)
            routes.add((method, path))
        shown = {(m, p.replace("[@MAJOR]", "").replace("@MAJOR", ""))
                 for m, p in re.findall(r"^### ([A-Z]+) `(\S+)`$", page("http-leaf.md"), re.M)}
        self.assertGreater(len(routes), 18)
        self.assertEqual(shown - {("POST", "/v1/products/D/P/T/quarantine/replay")}, routes)

    def test_headers_are_those_of_the_code(self):
        code = source("proto/subjects.h") + source("proto/message.h")
        headers = set(re.findall(r'#define HEADER_\w+\s+"([^"]+)"', code))
        shown = first_column(page("nats.md"))
        self.assertGreater(len(headers), 10)
        self.assertEqual(headers - shown, set())
        self.assertEqual({h for h in shown if h.startswith("Sheaf-")} - headers, set())

    def test_members_of_requests_are_those_the_leaf_knows(self):
        names = re.search(r"member_names\[\] = \{(.*?)NULL\}",
                          source("leaf/query/params_json.c"), re.S)
        self.assertEqual(first_column(sections(page("nats.md"))["Requests"])
                         - {"describe", "get", "scan", "changes", "stats", "profile", "taken"}
                         - {n for n in first_column(page("nats.md")) if n[0].isupper()},
                         set(re.findall(r'"(\w+)"', names.group(1))))

    def test_metrics_are_those_of_the_code(self):
        names = set()
        for path in sorted(p for d in ("common", "leaf", "hub") for p in (ROOT / d).rglob("*.c")):
            code = path.read_text()
            if path.name != "leaf_limits.c" and re.search(r"sf_(counter|gauge|histogram)_register\(", code):
                names |= set(re.findall(r'(?:name = |\{)"([a-z]+(?:_[a-z]+)+)"', code))
        names |= {"limit_used", "limit_max", "limit_refused_total"}
        self.assertGreater(len(names), 40)
        self.assertEqual({n for n in first_column(page("metrics.md"))}, {"sheaf_" + n for n in names})

    def test_keys_of_policies_are_those_the_parser_knows(self):
        self.assertEqual(page("policies.md"), with_policy_keys(page("policies.md")))

    def test_keys_of_the_product_file_are_those_the_parser_knows(self):
        text = sections(page("product-file.md"))
        for heading, path, name in (
                ("Top level", "product_file.c", "top_keys"),
                ("A table", "product_file.c", "table_keys"),
                ("A field", "product_field.c", "field_keys"),
                ("Types", "product_type.c", "type_names"),
                ("Classes", "product_field.c", "class_names")):
            keys = strings_of("common/contract/" + path, name)
            self.assertGreater(len(keys), 4)
            self.assertEqual(first_column(text[heading]), set(keys), heading)
        for name in strings_of("common/contract/product_rules.c", "format_names"):
            self.assertIn(f"`{name}`", text["A field"])

    def test_tests_that_failures_names_exist(self):
        text = (ROOT / "docs/explanation/failures.md").read_text()
        names = re.findall(r"`((?:\w+/)+\w+\.(?:c|py))(?:: (\w+))?`", text.split("## Of RocksDB")[0])
        self.assertGreater(len(names), 60)
        for path, name in names:
            self.assertRegex((ROOT / "tests" / path).read_text(), rf"\b{name}\b")

    def test_every_page_is_in_the_list(self):
        listed = (ROOT / "docs/README.md").read_text()
        pages = [p for p in sorted((ROOT / "docs").glob("*/*.md")) if p.parent.name != "adr"]
        self.assertGreater(len(pages), 30)
        for path in pages:
            self.assertIn(f"({path.relative_to(ROOT / 'docs')})", listed)

    def test_links_within_pages_lead_to_headings(self):
        pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").rglob("*.md")]
        links = 0
        for path in pages:
            text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
            for target, name in re.findall(r"\]\(([^)\s#]*)#([^)\s]+)\)", text):
                if "://" not in target:
                    links += 1
                    to = (path.parent / target).resolve() if target else path
                    self.assertIn(name, anchors(to.read_text()), f"{path}: {target}#{name}")
        self.assertGreater(links, 30)

    def test_masks_are_those_the_parser_knows(self):
        shown = first_column(sections(page("masks.md"))["All masks"])
        names = strings_of("common/mask/mask_parse.c", "mask_names")
        self.assertGreater(len(names), 10)
        self.assertEqual({n.partition("(")[0] for n in shown}, set(names))
        for part in strings_of("common/mask/mask_parse.c", "part_names"):
            self.assertIn(f"`{part}`", page("masks.md"))


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    PROGRAMS.update({"sheaf-leaf": arguments[0], "sheaf-hub": arguments[1]})
    if "--write" in sys.argv:
        write_settings()
        (PAGES / "policies.md").write_text(with_policy_keys(page("policies.md")))
        return 0
    return tap.run(Reference)


if __name__ == "__main__":
    sys.exit(main())
