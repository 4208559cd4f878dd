#!/usr/bin/env python3
"""Follows a table of a product with nats-py: every change once and in order, as JSON lines.

    pip install 'nats-py[nkeys]'
    follow.py nats://127.0.0.1:4224 LEAF_DATA/keys/app.nk DOMAIN PRODUCT TABLE MAJOR [EPOCH:SEQ]
"""
import asyncio
import json
import sys

import nats


class Reader:
    def __init__(self, connection, domain, product, table, major, at):
        self.connection, self.table, self.major = connection, table, int(major)
        self.subject = f"dp.{domain}.{product}.{table}.v{major}.>"
        self.changes = f"q.{domain}.{product}.changes"
        self.epoch, self.at = (int(n) for n in at.split(":"))

    def take(self, epoch, lines):
        """Prints what is new of @lines; what was seen already is a repetition."""
        for line in lines.splitlines():
            seq = json.loads(line)["seq"]
            if epoch != self.epoch or seq > self.at:
                self.epoch, self.at = epoch, seq
                print(line.decode(), flush=True)

    async def ask(self, subject, body):
        """The pages of an answer: messages up to an empty one without headers."""
        inbox = self.connection.new_inbox()
        pages = await self.connection.subscribe(inbox)
        try:
            await self.connection.publish(subject, json.dumps(body).encode(), reply=inbox)
            while True:
                page = await pages.next_msg(timeout=5)
                headers = page.headers or {}
                if not page.data and not headers:
                    break
                if headers.get("Status") == "503":
                    raise nats.errors.NoRespondersError
                if "Nats-Service-Error-Code" in headers:
                    raise RuntimeError(f"{headers['Sheaf-Error']}: {headers['Nats-Service-Error']}")
                yield page
        finally:
            await pages.unsubscribe()

    async def replay(self):
        """Asks for what is missing behind the position, until there is an answer: the leaf may be away."""
        while True:
            body = {"table": self.table, "major": self.major, "after": f"{self.epoch}:{self.at}"}
            try:
                async for page in self.ask(self.changes, body):
                    self.take(int(page.headers["Sheaf-Position"].split(":")[0]), page.data)
                return
            except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
                await asyncio.sleep(1)

    async def run(self):
        live = await self.connection.subscribe(self.subject)
        await self.connection.flush()
        await self.replay()
        async for message in live.messages:
            where = message.headers.get("Sheaf-Position") or message.headers["Sheaf-Head"]
            epoch = int(where.split(":")[0])
            if epoch != self.epoch or int(message.headers["Sheaf-Prev"]) > self.at:
                await self.replay()  # something before this message was lost
            if message.data:
                self.take(epoch, message.data)


async def main(url, seed, *what):
    connection = await nats.connect(url, nkeys_seed=seed)
    await Reader(connection, *what).run()


if __name__ == "__main__":
    arguments = sys.argv[1:] + (["1:0"] if len(sys.argv) == 7 else [])
    asyncio.run(main(*arguments))
