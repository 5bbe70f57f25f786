"""Lines of a stream, whatever pieces it comes in."""

from collections.abc import AsyncGenerator, AsyncIterable

LINE_BYTES = 16 * 1024 * 1024
"""No event is longer: etcd refuses objects far smaller. What is longer is no watch."""


class LineTooLong(Exception):  # it says what is
    """A line has no end within `LINE_BYTES`."""


async def split_lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield whole lines without their ends; what follows the last line end is no event and is dropped.

    Pieces of one line are joined once: a line in many pieces costs its length, not its square.
    """
    pieces: list[bytes] = []
    held = 0
    async for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        if whole:
            pieces.append(whole[0])
            whole[0] = b"".join(pieces)
            pieces, held = [], 0
            for line in whole:
                if line:
                    yield line
        if rest:
            pieces.append(rest)
            held += len(rest)
            if held > LINE_BYTES:
                raise LineTooLong(f"a line is longer than {LINE_BYTES} bytes")
