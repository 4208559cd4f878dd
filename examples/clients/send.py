#!/usr/bin/env python3
"""Sends NDJSON from standard input to a table with nats-py: each record is stored once, however often it has to be sent.

    pip install 'nats-py[nkeys]'
    send.py nats://127.0.0.1:4223 LEAF_DATA/keys/app.nk PRODUCT TABLE MAJOR < records.ndjson
"""
import asyncio
import json
import sys
import uuid

import nats
import nats.errors

REQUEST_BYTES = 1 << 20  # a message may have 4 MiB


def requests(lines):
    """Bodies of whole lines."""
    body = b""
    for line in lines:
        if body and len(body) + len(line) > REQUEST_BYTES:
            yield body
            body = b""
        body += line
    if body:
        yield body


async def send(connection, subject, body):
    """Until there is an answer: without one the records may be stored or not, and the key tells the leaf that they are the same."""
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": str(uuid.uuid4())}
    while True:
        try:
            answer = await connection.request(subject, body, timeout=10, headers=headers)
        except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
            await asyncio.sleep(1)
            continue
        code = (answer.headers or {}).get("Nats-Service-Error-Code")
        if code is None:
            return json.loads(answer.data)
        if code not in ("429", "503", "507"):  # these pass
            raise RuntimeError(f"{answer.headers['Sheaf-Error']}: {answer.headers['Nats-Service-Error']}")
        await asyncio.sleep(1)


async def main(url, seed, product, table, major):
    connection = await nats.connect(url, nkeys_seed=seed)
    for body in requests(sys.stdin.buffer):
        answer = await send(connection, f"in.{product}.{table}.v{major}", body)
        print(f"{answer['accepted']} stored up to {answer['epoch']}:{answer['last_seq']}, {answer['quarantined']} put aside", flush=True)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
