"""Bytes that are no HTTP, half requests, huge heads, bodies in pieces: over a real socket, against `serve`."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
import trio

from tests.hosting.served import served
from tests.hosting.sockets import ask, exchange, parsed
from tests.hosting.town import app

BASE = "/runtime/webhooks/durabletask"
HEAD = b"Host: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
START = b"POST /api/orchestrators/Echo HTTP/1.1\r\n" + HEAD
LONG_S = 20.0

BROKEN = {
    "garbage": b"\x00\xff\x16\x03\x01 garbage\r\n\r\n",
    "TLS": bytes.fromhex("16030100c6010000c20303") + bytes(200) + b"\r\n\r\n",
    "no version": b"GET /health/live\r\n\r\n",
    "no host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "two lengths": START + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n11",
    "no length": START + b"Content-Length: many\r\n\r\n",
    "a huge head": b"GET /health/live HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * 200_000 + b"\r\n\r\n",
    "a long target": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a bad chunk": b"POST /api/orchestrators/Echo HTTP/1.1\r\n"
    + HEAD
    + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
    "a space in a name": b"GET /health/live HTTP/1.1\r\n" + HEAD + b"a b: c\r\n\r\n",
}


async def alive(port: int) -> None:
    assert (await ask(port, "GET", "/health/ready")).status == 200


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_no_request_is_refused(tmp_path: Path, sent: bytes) -> None:
    """It gets a 4xx, or the connection is closed; the others are served."""
    async with served(app, tmp_path / "hub") as api:
        with trio.fail_after(LONG_S):
            try:
                found = await exchange(api.port, sent)
            except OSError:
                found = b""
            if found:
                assert 400 <= parsed(found).status < 500
        await alive(api.port)
        assert (await ask(api.port, "GET", f"{BASE}/instances")).json == []


async def test_half_a_request_starts_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who hangs up before the whole body is there has asked for nothing, and is no fault of the server."""
    whole = b"POST /api/orchestrators/Echo/x HTTP/1.1\r\n" + HEAD + b'Content-Length: 12\r\n\r\n{"value": 1}'
    async with served(app, tmp_path / "hub") as api:
        for size in (5, 60, len(whole) - 12, len(whole) - 1):
            stream = await trio.open_tcp_stream("127.0.0.1", api.port)
            await stream.send_all(whole[:size])
            await stream.aclose()
        await alive(api.port)
        assert (await ask(api.port, "GET", f"{BASE}/instances")).json == []
        assert parsed(await exchange(api.port, whole)).status == 202
    assert not [record for record in caplog.records if record.exc_info]


async def test_bodies_in_pieces(tmp_path: Path) -> None:
    """Chunked bodies, and bodies that come byte by byte, are whole bodies."""
    value = {"city": "서울" * 50}
    data = json.dumps(value).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(data[i : i + 7]), data[i : i + 7]) for i in range(0, len(data), 7))
    head = b"POST /api/orchestrators/Echo/wait HTTP/1.1\r\n" + HEAD
    async with served(app, tmp_path / "hub") as api:
        found = parsed(await exchange(api.port, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"))
        assert (found.status, found.json) == (200, value)
        async with await trio.open_tcp_stream("127.0.0.1", api.port) as stream:
            for byte in head + b"Content-Length: %d\r\n\r\n" % len(data) + data:
                await stream.send_all(bytes([byte]))
            found = parsed(b"".join([part async for part in stream]))
        assert (found.status, found.json) == (200, value)


async def test_a_body_without_end_is_cut_off(tmp_path: Path) -> None:
    """G31: 413 as soon as it is too large; nobody reads the rest."""
    async with served(app, tmp_path / "hub", request_bytes_max=1000) as api:
        stream = await trio.open_tcp_stream("127.0.0.1", api.port)
        await stream.send_all(START + b"Transfer-Encoding: chunked\r\n\r\n")
        with trio.fail_after(LONG_S):
            async with trio.open_nursery() as nursery:

                async def pour() -> None:
                    try:
                        while True:
                            await stream.send_all(b"200\r\n" + b"x" * 512 + b"\r\n")
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        pass

                nursery.start_soon(pour)
                first = await stream.receive_some()
                await stream.aclose()
        assert first.startswith(b"HTTP/1.1 413")
        await alive(api.port)


async def test_bytes_of_chance(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A good request with bytes changed, taken out and put in, 300 times: an answer or a closed connection."""
    random = Random(5)
    good = b"POST /api/orchestrators/Echo/x?version=2 HTTP/1.1\r\n" + HEAD + b'Content-Length: 12\r\n\r\n{"value": 1}'
    async with served(app, tmp_path / "hub") as api:
        limiter = trio.CapacityLimiter(20)

        async def send(data: bytes) -> None:
            async with limiter:
                with trio.move_on_after(1):  # what is not whole waits for the rest
                    try:
                        found = await exchange(api.port, data, close=True)
                    except OSError:
                        return
                    assert not found.startswith(b"HTTP/1.1 5"), (data, found)

        async with trio.open_nursery() as nursery:
            for _ in range(300):
                data = bytearray(good)
                for _ in range(random.randint(1, 4)):
                    place = random.randrange(len(data))
                    data[place : place + random.randint(0, 2)] = random.randbytes(random.randint(0, 2))
                nursery.start_soon(send, bytes(data))
        await alive(api.port)
    assert not [record for record in caplog.records if record.exc_info]
