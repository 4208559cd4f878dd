"""What the benchmarks of a running leaf share: a mesh of their own, the product, the tools."""
import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.request

FIELDS = """
      order_id:    {number: 1, type: string, required: true}
      customer_id: {number: 2, type: string, required: true}
      email:       {number: 3, type: string, class: pii, format: email}
      country:     {number: 4, type: string, required: true, enum: ["NO", "SE", "DK"]}
      amount:      {number: 5, type: "decimal(12,2)", required: true, min: 0}
      quantity:    {number: 6, type: int32, required: true}
      ordered_at:  {number: 7, type: timestamp, required: true}
      note:        {number: 8, type: string}
"""


def product(name="orders"):
    return f"""sheaf: product/v1
product: bench/{name}
version: 1.0.0
status: active
owner: team-bench
description: Records of 250 bytes as a web shop would send them.
tables:
  orders:
    kind: state
    key: [order_id]
    fields:{FIELDS}
  events:
    kind: event
    event_time: ordered_at
    fields:{FIELDS}
"""


class Mesh:
    """A hub and one leaf of their own, gone afterwards."""

    leaves = ("bench",)  # the first owns the product

    def __init__(self, build, directory):
        self.build = build
        self.cli = str(build / "cli" / "sheaf")
        self.dir = directory
        self.env = dict(os.environ, SHEAF_DEV_DIR=str(directory / "mesh"))

    def run(self, *args):
        return subprocess.run([self.cli, *args], env=self.env, check=True, text=True,
                              capture_output=True).stdout

    def __enter__(self):
        self.run("dev", *(word for leaf in self.leaves for word in ("--leaf", leaf)), "-d")
        self.apply("orders")
        self.token = self.dir / "token"
        self.token.write_text(self.run("token", "create", "--as", "bench"))
        leaves = json.loads((self.dir / "mesh" / "dev.json").read_text())["leaves"]
        leaf = next(l for l in leaves if l["domain"] == "bench")
        self.url, self.pid = leaf["http"], leaf["pid"]
        return self

    def __exit__(self, *_):
        subprocess.run([self.cli, "dev", "stop"], env=self.env, capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def apply(self, name):
        path = self.dir / "product.yaml"
        path.write_text(product(name))
        self.run("product", "apply", str(path), "--as", "bench")

    def table(self, name, product_name="orders"):
        return f"{self.url}/v1/products/bench/{product_name}/{name}/records"

    def load(self, table, connections, records, seconds, pattern, first):
        return tool(self.build / "bench/http_load", table, self.token, connections, records,
                    seconds, pattern, first)

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def syncs(self):
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            text = answer.read().decode()
        for line in text.splitlines():
            if line.startswith("sheaf_store_syncs_total "):
                return int(line.split()[1])
        return 0

    def leaf_command(self):
        """How the leaf was started, without the token for joining: it has joined."""
        args = pathlib.Path(f"/proc/{self.pid}/cmdline").read_bytes().decode().split("\0")[:-1]
        if "--join-token-file" in args:
            at = args.index("--join-token-file")
            del args[at:at + 2]
        return args

    def stop(self):
        """Ends the mesh; its data stays for a leaf that is started alone."""
        self.run("dev", "stop")


class Leaf:
    """A leaf that is started alone on the data of a mesh; ready_ms is how long that took."""

    def __init__(self, command, log):
        started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        self.ready_ms = (time.monotonic() - started) * 1e3
        if not line.startswith("ready "):
            raise RuntimeError(f"the leaf did not start: {line!r}")
        self.url = "http://" + line.split("http=")[1].split()[0]

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait()
        self.process.stdout.close()


def tool(*args):
    return json.loads(subprocess.run([str(a) for a in args], check=True, text=True,
                                     capture_output=True).stdout)
