"""A small NATS client with headers, for tests: one connection, polled by its owner."""
import base64
import json
import pathlib
import select
import socket
import time

import ed25519

PATIENCE_S = 30  # for bytes that must come


def nkey_seed(text):
    """The 32 bytes in the text of a seed ("SU...")."""
    raw = base64.b32decode(text.strip() + "=" * (-len(text.strip()) % 8))
    return raw[2:34]


OPERATOR, ACCOUNT, USER, SEED = 14 << 3, 0, 20 << 3, 18 << 3  # first bytes of nkeys


def nkey_text(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return base64.b32encode(data + crc.to_bytes(2, "little")).decode().rstrip("=")


def nkey_public(seed, kind):
    return nkey_text(bytes([kind]) + ed25519.public_key(seed))


def nkey_user(seed):
    """The text of a user's public key."""
    return nkey_public(seed, USER)


def nkey_seed_text(seed, kind):
    """The other way round than nkey_seed()."""
    return nkey_text(bytes([SEED | kind >> 5, (kind & 31) << 3]) + seed)


def jwt(seed, kind, subject, name, claims):
    """A JWT of NATS, by the key of an operator or account."""
    def part(data):
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()
    text = part({"typ": "JWT", "alg": "ed25519-nkey"}) + "." + part({
        "jti": name, "iat": int(time.time()), "iss": nkey_public(seed, kind), "name": name,
        "sub": subject, "nats": {"version": 2} | claims})
    sign = base64.urlsafe_b64encode(ed25519.sign(seed, text.encode()))
    return text + "." + sign.rstrip(b"=").decode()


def creds(user_jwt, seed):
    return (f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{nkey_seed_text(seed, USER)}\n"
            "------END USER NKEY SEED------\n")


class Message:
    def __init__(self, subject, reply, headers, data):
        self.subject, self.reply, self.headers, self.data = subject, reply, headers, data

    def lines(self):
        return [json.loads(line) for line in self.data.splitlines()]

    def __repr__(self):
        return f"{self.subject} {self.headers} {self.data[:300]!r}"


class Client:
    def __init__(self, port, seed_file, user_jwt=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.messages = []
        self.errors = []
        self.pongs = 0
        self.next_sid = 1
        self.info = json.loads(self._line().split(b" ", 1)[1])
        seed = nkey_seed(pathlib.Path(seed_file).read_text())
        sign = ed25519.sign(seed, self.info["nonce"].encode())
        who = {"jwt": user_jwt} if user_jwt else {"nkey": nkey_user(seed)}
        self._send("CONNECT " + json.dumps(who | {
            "verbose": False, "pedantic": False, "headers": True, "no_responders": True,
            "protocol": 1, "lang": "python-test", "version": "0",
            "sig": base64.urlsafe_b64encode(sign).rstrip(b"=").decode()}) + "\r\n")
        self.flush()

    def _send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def _fill(self, within_s):
        if not select.select([self.socket], [], [], within_s)[0]:
            return False
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"nats-server closed the connection: {self.errors}")
        self.buffer += data
        return True

    def _more(self):
        assert self._fill(PATIENCE_S), f"nats-server sends nothing for {PATIENCE_S} s"

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _bytes(self, count):
        while len(self.buffer) < count + 2:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count + 2:]
        return data

    def poll(self, within_s=0.0):
        """Takes in what has come; waits up to @within_s for the first bytes."""
        while self.poll_one(within_s):
            within_s = 0

    def poll_one(self, within_s):
        """The same, but no more than one message; false: nothing has come."""
        if b"\r\n" not in self.buffer and not self._fill(within_s):
            return False
        if b"\r\n" in self.buffer:
            self._take(self._line())
        return True

    def _take(self, line):
        words = line.decode().split(" ")
        if words[0] == "MSG":
            reply = words[3] if len(words) == 5 else None
            self.messages.append(Message(words[1], reply, {}, self._bytes(int(words[-1]))))
        elif words[0] == "HMSG":
            reply = words[3] if len(words) == 6 else None
            data = self._bytes(int(words[-1]))
            head, body = data[:int(words[-2])], data[int(words[-2]):]
            first, *rest = head.decode().split("\r\n")
            headers = dict(h.split(": ", 1) if ": " in h else (h.rstrip(":"), "")
                           for h in rest if h)
            if first.strip() != "NATS/1.0":
                headers["Status"] = first.split(" ")[1]
            self.messages.append(Message(words[1], reply, headers, body))
        elif words[0] == "PING":
            self._send("PONG\r\n")
        elif words[0] == "PONG":
            self.pongs += 1
        elif words[0] == "-ERR":
            self.errors.append(line.decode())

    def flush(self):
        """Returns once the server has seen everything that was sent before."""
        want = self.pongs + 1
        self._send("PING\r\n")
        while self.pongs < want:
            self._take(self._line())

    def subscribe(self, subject):
        self._send(f"SUB {subject} {self.next_sid}\r\n")
        self.next_sid += 1
        self.flush()

    def publish(self, subject, data=b"", reply="", headers=None):
        data = data.encode() if isinstance(data, str) else data
        if headers:
            lines = [f"{name}: {value}" for name, value in headers.items()]
            head = "\r\n".join(["NATS/1.0", *lines, "", ""]).encode()
            self._send(f"HPUB {subject} {reply}{' ' if reply else ''}{len(head)} "
                       f"{len(head) + len(data)}\r\n".encode() + head + data + b"\r\n")
            return
        self._send(f"PUB {subject} {reply}{' ' if reply else ''}{len(data)}\r\n".encode()
                   + data + b"\r\n")

    def wait_for(self, wanted, what, within_s=20):
        """Removes and returns the first message that @wanted says yes to; what has come behind it stays unread."""
        deadline = time.monotonic() + within_s
        looked_at = 0
        while True:
            for i, m in enumerate(self.messages[looked_at:], looked_at):
                if wanted(m):
                    return self.messages.pop(i)
            looked_at = len(self.messages)
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within_s} s: {what}; there are {self.messages}")
            self.poll_one(0.05)

    def request(self, subject, data, headers=None, within_s=20):
        """The one message that answers."""
        inbox = f"_INBOX.test{self.next_sid}.{time.monotonic_ns()}"
        self.subscribe(inbox)
        self.publish(subject, data, inbox, headers)
        return self.wait_for(lambda m: m.subject == inbox, f"answer of {subject}", within_s)

    def ask(self, subject, body=None, within_s=20, headers=None):
        """All messages of one answer, up to its empty end."""
        inbox = f"_INBOX.test{self.next_sid}.{time.monotonic_ns()}"
        self.subscribe(inbox)
        self.publish(subject, json.dumps(body) if body is not None else b"", inbox, headers)
        pages = []
        while True:
            m = self.wait_for(lambda m: m.subject == inbox, f"answer of {subject}", within_s)
            if not m.data and not m.headers:
                return pages
            pages.append(m)
            if "Status" in m.headers:
                return pages

    def close(self):
        self.socket.close()
