#!/usr/bin/env python3
"""A domain reads and checks of the audit log what concerns it; a hub between that changes its word is found where an event
is shown, and the platform, to which all are shown, finds every one."""
import http.server
import json
import shutil
import sys
import threading

import fixture

PRODUCT = """sheaf: product/v1
product: sales/people
version: 1.0.0
tables:
  people:
    kind: event
    fields:
      id: {number: 1, type: string}
"""


def set_up(m):
    m.apply("sales", PRODUCT)
    for consumer in ("finance", "marketing"):
        m.sheaf("access", "request", "sales/people", "--as", consumer, "--purpose", f"of {consumer}", "--for", "1d")


def events(m, who):
    return {e["number"]: e for e in m.sheaf("audit", "ls", "--as", who, "-o", "json").json()["items"]}


def test_a_domain_reads_what_concerns_it(m):
    """The log has an event for everybody's doing; who did what is told to those whom it concerns"""
    set_up(m)
    everything, mine = events(m, "platform"), events(m, "marketing")
    assert sorted(everything) == sorted(mine)
    for number, e in everything.items():
        shown = mine[number]
        assert (e["time"], e["kind"], e["hash"]) == (shown["time"], shown["kind"], shown["hash"]), shown
        about = [e["detail"].get(k) for k in ("domain", "consumer")]
        if e["kind"] in ("token_issued", "access_requested") and "marketing" not in about:
            assert (shown["actor"], shown["detail"]) == (None, None), shown
        else:
            assert (shown["actor"], shown["detail"]) == (e["actor"], e["detail"]), shown
    assert "of finance" not in json.dumps(mine) and "finance" not in m.sheaf("access", "ls", "--as", "marketing").out


def test_a_domain_verifies_what_it_is_shown(m):
    """Signatures and chain of what is shown hold, and it is said how many events are not"""
    withheld = m.hub.call("GET", "/v1/audit?limit=1000", token=m.token("marketing")).json()["items"]
    count = sum(e["withheld"] for e in withheld)
    ran = m.sheaf("audit", "verify", "--as", "marketing", "-o", "json")
    assert count > 0 and ran.json()["withheld"] == count and ran.json()["events"] == len(withheld), ran
    assert f"{count} of them are affairs of others, which marketing is not shown" in ran.err, ran
    ran = m.sheaf("audit", "verify", "--as", "platform", "-o", "json")
    assert ran.json()["withheld"] == 0 and "affairs" not in ran.err, ran


class Between(http.server.BaseHTTPRequestHandler):
    """Passes on what the hub says, changed by @change."""
    mesh = None
    change = None

    def do_GET(self):
        answer = self.mesh.hub.call("GET", self.path, headers={"Authorization": self.headers["Authorization"] or ""})
        body = answer.json()
        if "items" in body:
            self.change(body["items"])
        text = json.dumps(body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def verified(m, who, change):
    """What verify says of a hub whose items were changed."""
    home = m.directory / "between"
    home.mkdir(exist_ok=True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Changed", (Between,), {"mesh": m, "change": staticmethod(change)})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = json.loads((m.directory / "dev.json").read_text())
        context["hub"]["http"] = f"http://127.0.0.1:{server.server_address[1]}"
        (home / "dev.json").write_text(json.dumps(context))
        ran = m.sheaf("audit", "verify", "--as", who, status=None, environment={"SHEAF_DEV_DIR": str(home)})
        server.shutdown()
    shutil.rmtree(home)
    return ran


def test_what_is_withheld_has_to_fit_what_is_shown(m):
    """A hash that the next event does not follow, a number that is not the next, and anything kept from the platform is found"""
    shown = events(m, "marketing")
    last = max(n for n in shown if shown[n]["actor"] is None and shown.get(n + 1, {}).get("actor"))

    def other_hash(items):
        items[last - 1]["hash"] = items[0]["hash"]

    def left_out(items):
        del items[last - 1]

    def kept_back(items):
        for name in ("payload", "signature"):
            del items[last - 1][name]
        items[last - 1]["withheld"] = True

    def told_twice(items):
        items.append(items[-1])

    assert not {"actor", "detail"} & {k for k, v in events(m, "finance")[max(shown)].items() if v}, "the last is marketing's"
    assert verified(m, "marketing", lambda items: None).status == 0
    for who, change, number in (("marketing", other_hash, last + 1), ("marketing", left_out, last), ("platform", kept_back, last),
                                ("finance", told_twice, max(shown) + 1)):
        ran = verified(m, who, change)
        assert ran.status == 8 and "SHEAF-E0605" in ran.err and f"event {number}:" in ran.err, (change, ran)


if __name__ == "__main__":
    sys.exit(fixture.run([test_a_domain_reads_what_concerns_it, test_a_domain_verifies_what_it_is_shown,
                          test_what_is_withheld_has_to_fit_what_is_shown], ["sales", "marketing", "finance"]))
