"""A line of limited speed before the store: `python -m bench.line LISTEN_PORT TARGET_PORT BYTES_A_SECOND`.

What goes up shares the speed, over however many connections; what comes down is not slowed.
"""

import asyncio
import sys
import time

CHUNK = 16 * 1024


class Limit:
    """So many bytes a second, for all who ask."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.free_at = 0.0

    async def take(self, count: int) -> None:
        now = time.monotonic()
        self.free_at = max(self.free_at, now - 0.05) + count / self.rate
        if self.free_at > now:
            await asyncio.sleep(self.free_at - now)


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: Limit | None) -> None:
    try:
        while data := await reader.read(CHUNK):
            if limit:
                await limit.take(len(data))
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def main(listen: int, target: int, rate: float) -> None:
    limit = Limit(rate)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pipe(reader, onward_writer, limit), pipe(onward_reader, writer, None))

    server = await asyncio.start_server(connected, "127.0.0.1", listen, limit=CHUNK)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
