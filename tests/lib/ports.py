"""Ports for tests that run beside each other.

They lie below 32768, so that no outgoing connection takes one first, and above those that programs
look for by themselves. tests/lib/nats_server.c takes the same blocks.
"""
import os
import socket

PORT_FIRST, PORT_BLOCK, PORT_BLOCKS = 16000, 40, 400


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Ports:
    """A block of ports that no other running test takes: its name in the kernel is the lock."""

    def __init__(self):
        self.lock = socket.socket(socket.AF_UNIX)
        for i in range(PORT_BLOCKS):
            block = (os.getpid() + i) % PORT_BLOCKS
            try:
                self.lock.bind(f"\0sheaf-test-ports-{block}")
            except OSError:
                continue
            first = PORT_FIRST + block * PORT_BLOCK
            self.free = [p for p in range(first, first + PORT_BLOCK) if is_free(p)]
            return
        raise AssertionError("no block of ports is free")

    def take(self):
        return self.free.pop(0)
