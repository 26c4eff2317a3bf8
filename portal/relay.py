"""Passes TCP connections on: shows the demo's S3 port, and nothing else of the store, to the local network.

The store itself stays on loopback, because its other ports ask nobody for a password. Usage:
`python -m portal.relay LISTEN_HOST LISTEN_PORT TARGET_HOST TARGET_PORT`.
"""

import asyncio
import contextlib
import sys

CHUNK = 64 * 1024


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()


async def relay(listen: tuple[str, int], target: tuple[str, int]) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward_reader, onward_writer = await asyncio.open_connection(*target)
        except ConnectionError:
            writer.close()
            return
        await asyncio.gather(_pipe(reader, onward_writer), _pipe(onward_reader, writer))

    server = await asyncio.start_server(connected, *listen)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    listen_host, listen_port, target_host, target_port = sys.argv[1:]
    asyncio.run(relay((listen_host, int(listen_port)), (target_host, int(target_port))))
