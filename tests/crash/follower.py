"""`sheaf sub`, its output taken line by line and held against what a consumer is promised."""
import json
import signal
import subprocess
import threading

from mesh import Failure, wait_for


class Follower(threading.Thread):
    """A subscription to @table of @domain as @consumer."""

    def __init__(self, mesh, table, consumer, since, log):
        super().__init__(daemon=True)
        self.name = f"sub {table.product}.{table.name} as {consumer}"
        self.table, self.is_own = table, table.product.startswith(consumer + "/")
        self.changes, self.error = [], None
        self.process = mesh.run_forever(
            [mesh.sheaf, "sub", f"{table.product}.{table.name}", "--as", consumer,
             "--since", since, "-o", "ndjson", "-v"], subprocess.PIPE, log)
        self.start()

    def take(self, line):
        text = line.decode()
        change = json.loads(text)
        if self.changes and change["seq"] != self.changes[-1]["seq"] + 1:
            raise Failure(f"{self.name}: seq {change['seq']} follows {self.changes[-1]['seq']}")
        if "refused" in text:
            raise Failure(f"{self.name}: what the contract refused: {text}")
        if not self.is_own and ("email" in text or "pii-" in text):
            raise Failure(f"{self.name}: a field of class pii: {text}")
        self.changes.append(change)

    def run(self):
        try:
            for line in self.process.stdout:
                self.take(line)
        except Exception as e:  # pylint: disable=broad-except
            self.error = e

    def position(self):
        """The seq it has come to."""
        if self.error is not None:
            raise self.error
        return self.changes[-1]["seq"] if self.changes else 0

    def wait_position(self, seq, deadline_s):
        def is_there():
            if self.position() < seq and self.process.poll() is not None:
                raise Failure(f"{self.name} ended by itself: {self.process.returncode}")
            return self.position() >= seq
        try:
            wait_for(is_there, f"{self.name} comes to seq {seq}", deadline_s)
        except Failure as e:
            raise Failure(f"{e}; it is at {self.position()}") from e

    def stop(self):
        """Ends it as Ctrl-C does, and takes what it had still to say; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        status = self.process.wait(60)
        self.join(60)
        self.position()
        return status
