"""Stands between a NATS server and its clients, and notes every acknowledgement that the server's streams give.

    proxy.py LISTEN_PORT SERVER_PORT NOTES

A line of NOTES is: the moment in nanoseconds of the monotonic clock, the stream, the sequence, the number of messages that
are acknowledged with it. So what services and tenants were promised is known from the promises themselves, whoever got
them. The moment is that of the acknowledgement's arrival here, a little before its receiver sees it.
"""

import asyncio
import json
import sys
import time

# Longest line of the protocol, and largest piece read at once, in bytes.
LIMIT = 1 << 20


class Listener:
    """Finds the messages in what a server says to one client."""

    def __init__(self, notes):
        self.notes, self.buffer, self.wanted = notes, b"", None

    def hear(self, data):
        self.buffer += data
        while self.step():
            pass

    def step(self):
        """One line or one body; whether there was a whole one."""
        if self.wanted is not None:
            head, total = self.wanted
            if len(self.buffer) < total + 2:
                return False
            self.body(self.buffer[head:total])
            self.buffer, self.wanted = self.buffer[total + 2:], None
            return True
        line, end, rest = self.buffer.partition(b"\r\n")
        if not end:
            return False
        self.buffer, words = rest, line.split()
        if words and words[0] == b"MSG":
            self.wanted = (0, int(words[-1]))
        elif words and words[0] == b"HMSG":
            self.wanted = (int(words[-2]), int(words[-1]))
        return True

    def body(self, body):
        if not body.startswith(b'{"stream":'):
            return
        try:
            said = json.loads(body)
        except ValueError:
            return
        if said.get("seq", 0) > 0 and "error" not in said:
            print(time.monotonic_ns(), said["stream"], said["seq"], said.get("count", 1), file=self.notes, flush=True)


async def pump(reader, writer, hear):
    try:
        while data := await reader.read(LIMIT):
            hear(data)
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main(listen, server, notes):
    async def client(reader, writer):
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", server)
        except OSError:
            writer.close()
            return
        listener = Listener(notes)
        await asyncio.gather(pump(reader, to_writer, lambda _: None), pump(to_reader, writer, listener.hear))

    await (await asyncio.start_server(client, "127.0.0.1", listen)).serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[3], "w") as notes:
        asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), notes))
