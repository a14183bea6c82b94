"""What a connection may take of the server: a place, and time. In virtual time, on streams in memory."""

from __future__ import annotations

import errno
import logging
import math

import pytest
import trio
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked

from durio.hosting.limits import KEEP_ALIVE_S, PIECE_BYTES, REQUEST_S, STALL_S
from durio.hosting.listening import Bounds
from tests.hosting.door import LARGE, Door, Stream, door, request, rest
from tests.hosting.helpers import web
from tests.hosting.sockets import parsed
from tests.hosting.town import app as town


async def drip(stream: Stream, data: bytes, pause_s: float) -> None:
    """Send byte by byte, as long as somebody is there."""
    try:
        for byte in data:
            await stream.send_all(bytes([byte]))
            await trio.sleep(pause_s)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def ended(stream: Stream, after_s: float) -> bytes:
    """What the server sent until it closed the connection, after that time."""
    began = trio.current_time()
    found = await rest(stream)
    assert trio.current_time() - began == pytest.approx(after_s, abs=0.1)
    return found


async def works(at: Door) -> None:
    """Another client is served."""
    stream = at.knock()
    await stream.send_all(request("/echo", b"yes"))
    assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
    await stream.aclose()


# Requests that do not arrive


async def test_who_says_nothing_is_left(autojump_clock: object) -> None:
    """A connection without a byte is closed after `keep_alive_s`, and so is one that is idle after its answers."""
    async with door() as at:
        assert await ended(at.knock(), KEEP_ALIVE_S) == b""
        stream = at.knock()
        for _ in range(3):
            await trio.sleep(KEEP_ALIVE_S - 1)
            await stream.send_all(request("/now"))
            await trio.sleep(0.1)
            assert b"200" in await stream.receive_some()
        await ended(stream, KEEP_ALIVE_S - 0.1)


async def test_a_head_that_never_ends(autojump_clock: object) -> None:
    """A head that comes byte by byte is not waited for: it must be whole after `keep_alive_s`."""
    async with door(keep_alive_s=5) as at, trio.open_nursery() as nursery:
        stream = at.knock()
        nursery.start_soon(drip, stream, b"GET /now HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100, 1)
        assert await ended(stream, 5) == b""
        await works(at)


async def test_a_body_that_never_ends(autojump_clock: object) -> None:
    """A body that comes byte by byte is answered with 408 after `request_s`, and the connection is closed."""
    async with door() as at, trio.open_nursery() as nursery:
        stream = at.knock()
        await stream.send_all(request("/echo", b"x" * 1000)[:-1000])
        nursery.start_soon(drip, stream, b"x" * 1000, 1)
        found = parsed(await ended(stream, REQUEST_S))
        assert found.status == 408
        assert found.json["ExceptionMessage"] == "the body of the request did not arrive within 60 s"
        await works(at)


async def test_a_chunk_that_never_ends(autojump_clock: object) -> None:
    """The same holds for bodies of unknown length, and for one of which nothing comes at all."""
    async with door(request_s=30) as at:
        for part in (b"", b"5\r\nhel"):
            stream = at.knock()
            await stream.send_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + part)
            assert parsed(await ended(stream, 30)).status == 408


async def test_a_slow_body_in_time(autojump_clock: object) -> None:
    """A body that is whole before `request_s` is taken, however it came."""
    async with door() as at, trio.open_nursery() as nursery:
        stream = at.knock()
        await stream.send_all(request("/echo", b"y" * 50, headers="Connection: close\r\n")[:-50])
        nursery.start_soon(drip, stream, b"y" * 50, 1)
        assert parsed(await ended(stream, 49)).text == "y" * 50


async def test_who_waits_for_the_server_is_not_too_slow(autojump_clock: object) -> None:
    """The time in which a program does not read a body is not the client's."""
    async with door() as at:
        stream = at.knock()
        await stream.send_all(request("/lazy", b"x" * 3_000_000, headers="Connection: close\r\n"))
        assert parsed(await ended(stream, 1000)).text == "3000000"


async def test_an_answer_before_the_body(autojump_clock: object) -> None:
    """Who is answered before the body was read loses the connection at once, however much is still to come."""
    async with door() as at:
        stream = at.knock()
        await stream.send_all(request("/later?s=1", b"x" * 1_000_000))
        assert parsed(await ended(stream, 1)).text == "later"
        stream = at.knock()
        await stream.send_all(b"POST /later?s=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await stream.send_all(b"1\r\nx\r\n" * 1000)
        assert parsed(await ended(stream, 1)).text == "later"


async def test_nothing_is_started_by_half_a_request(autojump_clock: object) -> None:
    """Over the API, too: 408 in the words of all problems, in the metrics, and the orchestration is not there."""
    async with web(town) as api, door(api.app, request_s=30) as at:
        stream = at.knock()
        await stream.send_all(request("/api/orchestrators/Echo/x", b"{}")[:-1])
        found = parsed(await ended(stream, 30))
        assert found.status == 408
        assert found.json["ExceptionMessage"] == "the body of the request did not arrive within 30 s"
        assert (await api.get("/runtime/webhooks/durabletask/instances/x")).status == 404
        assert 'status="408"' in (await api.get("/metrics")).text


# Answers that take their time


async def test_a_long_wait_is_no_silence(autojump_clock: object) -> None:
    """Who waits an hour for an answer gets it, and so does who gets a byte every quarter of an hour."""
    async with door() as at:
        for target in ("/later?s=3600", "/drops"):
            stream = at.knock()
            await stream.send_all(request(target, headers="Connection: close\r\n"))
            assert parsed(await rest(stream)).text in ("later", "x" * 10)
        assert trio.current_time() > 3600


async def test_a_wait_for_an_end_is_not_cut(autojump_clock: object) -> None:
    """A start that waits for its end for an hour, with a body, is answered when the end comes."""
    async with web(town) as api, door(api.app, request_s=5, keep_alive_s=5) as at, trio.open_nursery() as nursery:
        stream = at.knock()
        target = "/api/orchestrators/Approval/x/wait?timeout=3600"
        await stream.send_all(request(target, b"1", headers="Connection: close\r\n"))

        async def approve() -> None:
            await trio.sleep(3000)
            await api.client.raise_event("x", "ApprovalEvent", "yes")

        nursery.start_soon(approve)
        assert parsed(await ended(stream, 3000)).json == "yes"


async def test_who_takes_an_answer_slowly_gets_it(autojump_clock: object) -> None:
    """A reader that takes a little from time to time gets the whole answer."""
    async with door() as at:
        stream = at.knock(lockstep_stream_pair)
        await stream.send_all(request("/large", headers="Connection: close\r\n"))
        parts = []
        while part := await stream.receive_some(PIECE_BYTES // 2):
            parts.append(part)
            await trio.sleep(STALL_S / 3)
        assert len(parsed(b"".join(parts)).text) == LARGE


async def test_who_takes_nothing_of_an_answer_is_left(autojump_clock: object) -> None:
    """A reader that takes nothing for `STALL_S` keeps neither its place nor the answer."""
    async with door(connections_max=1) as at:
        stream = at.knock(lockstep_stream_pair)
        await stream.send_all(request("/large"))
        await stream.receive_some(1)
        began = trio.current_time()
        await works(at)
        assert trio.current_time() - began == pytest.approx(STALL_S)


# Places


async def test_as_many_as_there_are_places(autojump_clock: object, caplog: pytest.LogCaptureFixture) -> None:
    """`connections_max` are served at once; who comes later waits, is served in its turn, and the log says so once."""
    async with door(connections_max=3) as at:
        streams = [at.knock() for _ in range(9)]
        for stream in streams:
            await stream.send_all(request("/later?s=10", headers="Connection: close\r\n"))
        for at_s in (10, 20, 30):
            for stream in streams[:3]:
                assert parsed(await rest(stream)).status == 200
                assert trio.current_time() == pytest.approx(at_s, abs=0.1)
            del streams[:3]
    assert [record.message for record in caplog.records] == ["connections_max=3 are served; others wait"]


async def test_a_crowd_that_says_nothing(autojump_clock: object) -> None:
    """Who is silent does not keep others out for longer than `keep_alive_s`."""
    async with door(connections_max=3, keep_alive_s=5) as at:
        crowd = [at.knock() for _ in range(3)]
        await wait_all_tasks_blocked()
        await works(at)
        assert trio.current_time() == pytest.approx(5, abs=0.1)
        for stream in crowd:
            assert await rest(stream) == b""


UPGRADE = b"GET /now HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: \r\nUpgrade: "
ODD = {
    "nothing": b"",
    "a request": request("/now"),
    "no request": b"\x00\xff\r\n\r\n",
    "half a request": request("/echo", b"x")[:-1],
    "much that nobody reads": request("/later?s=5", b"x" * 300_000),
    "no handshake": UPGRADE + b"websocket\r\n\r\n",
    "half a handshake": UPGRADE + b"websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n",
    "HTTP/2 if you like": UPGRADE + b"h2c\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
}


@pytest.mark.parametrize("sent", ODD.values(), ids=ODD.keys())
async def test_every_place_comes_back(autojump_clock: object, sent: bytes) -> None:
    """However a connection is used and ends, its place is free again: at once, if the client hung up."""
    async with door(connections_max=1) as at:
        for patience_s, hangs_up in ((0, True), (KEEP_ALIVE_S, False)):
            stream = at.knock()
            await stream.send_all(sent)
            await wait_all_tasks_blocked()
            began = trio.current_time()
            if hangs_up:
                await stream.aclose()
            await works(at)
            busy_s = 5 if b"later" in sent else REQUEST_S if b"echo" in sent and not hangs_up else 0
            assert trio.current_time() - began <= busy_s + patience_s


async def test_http_2_is_not_spoken(autojump_clock: object) -> None:
    """Who offers HTTP/2 is answered in HTTP/1.1: there a client cannot hold back an answer for ever."""
    async with door() as at:
        stream = at.knock()
        await stream.send_all(UPGRADE + b"h2c\r\n\r\n")
        await wait_all_tasks_blocked()
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")


# Errors of accept


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO])
async def test_no_descriptors(autojump_clock: object, caplog: pytest.LogCaptureFixture, number: int) -> None:
    """When the system gives no connection, the server asks again ten times a second, and says so once."""
    async with door() as at:
        for _ in range(100):
            at.fail(number)
        await works(at)
        assert trio.current_time() == pytest.approx(10)
        assert at.asked == pytest.approx(101, abs=1)
        await works(at)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert errno.errorcode[number] in record.message


# The end


async def test_the_end_waits_for_answers(autojump_clock: object) -> None:
    """At the end idle connections and halves of requests go at once; who is answered within `grace_s` is."""
    async with door(grace_s=10) as at:
        idle, half, quick, slow = (at.knock() for _ in range(4))
        await half.send_all(b"GET /now HTTP/1.1\r\n")
        await quick.send_all(request("/later?s=5"))
        await slow.send_all(request("/later?s=50"))
        await wait_all_tasks_blocked()
    assert trio.current_time() == pytest.approx(10)
    assert parsed(await rest(quick)).text == "later"
    for stream in (idle, half, slow):
        assert await rest(stream) == b""


@pytest.mark.parametrize("grace_s", [0, 3])
async def test_the_end_does_not_wait_for_who_takes_nothing(autojump_clock: object, grace_s: float) -> None:
    """A client that takes nothing of its answer does not hold up the end; nor does one that waits for a place."""
    async with door(grace_s=grace_s, connections_max=1) as at:
        stream = at.knock(lockstep_stream_pair)
        await stream.send_all(request("/large"))
        await stream.receive_some(1)
        waits = at.knock()
        await waits.send_all(request("/now"))
        await wait_all_tasks_blocked()
    assert trio.current_time() == pytest.approx(grace_s)
    assert await rest(waits) == b""


def test_bounds_are_checked() -> None:
    """No places, and no time, are refused."""
    for name, value in (("connections_max", 0), ("keep_alive_s", 0), ("request_s", -1), ("grace_s", math.nan)):
        with pytest.raises(ValueError, match=name):
            Bounds(**{name: value})  # type: ignore[arg-type]
