"""One file from the net, whole and as it was published, or not at all. It never learns what is in it.

What has come is kept in `NAME.part` and gone on with, by this run or a later one; under its own name a file is there
only when its checksum is right.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx

from cli.weights.table import File

TRIES = 4
"""In a row without one more byte."""
PAUSE_S = 1.0
TIMEOUT_S = 30.0
SLACK_BYTES = 1 << 20
"""A file may be so much longer than the table says before it is taken for another."""
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")

Tell = Callable[[int, int], None]
"""Is told of bytes that are there, and of how many it will be."""


class FetchFailed(Exception):
    """Why a file is not there, in a sentence for a person."""


class _Interrupted(Exception):
    """The line was lost; what has come is kept."""


def fetch(file: File, folder: Path, tell: Tell) -> Path:
    """Where the file is, fetched unless it was there. Raises: FetchFailed."""
    target, part = folder / file.name, folder / f"{file.name}.part"
    try:
        if _is_right(target, file):
            return target
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(part) as output:
            _fill(output, file, tell)
            output.flush()
            if not _is_right(part, file):
                output.truncate(0)
                raise FetchFailed(f"What came as {file.name} is not what was published (sha256): it was thrown away.")
            part.replace(target)
    except OSError as error:
        raise FetchFailed(f"{target} cannot be written: {error.strerror or error}.") from error
    return target


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """Open what has come so far; two at once would write into each other's."""
    with part.open("ab") as output:
        try:
            fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FetchFailed(f"Another `cueline get` is fetching {part.stem}; let it finish.") from None
        # Opened just before the other gave it its own name, it would be that file that we write into.
        if not part.exists() or not os.path.samestat(os.fstat(output.fileno()), part.stat()):
            raise FetchFailed(f"Another `cueline get` has just fetched {part.stem}; ask again.")
        yield output


def _fill(output: BinaryIO, file: File, tell: Tell) -> None:
    tries = 0
    with httpx.Client(follow_redirects=True, timeout=TIMEOUT_S) as client:
        while True:
            before = _length(output)
            try:
                _ask(client, output, file, tell)
            except (httpx.TransportError, _Interrupted) as error:
                tries = 1 if _length(output) > before else tries + 1
                if tries >= TRIES:
                    raise FetchFailed(_why(file, error, _length(output))) from error
                time.sleep(PAUSE_S)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise FetchFailed(f"{file.url} cannot be fetched: {error}.") from error
            else:
                return


def _ask(client: httpx.Client, output: BinaryIO, file: File, tell: Tell) -> None:
    """Once, from where we are."""
    have = _length(output)
    # Packed on the way, a range would be one of something else.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with client.stream("GET", file.url, headers=headers) as answer:
        if answer.status_code == 416:
            return  # nothing is left; the checksum tells whether that is all
        if answer.status_code in {408, 429} or answer.status_code >= 500:
            raise _Interrupted(f"{answer.url.host} answers {answer.status_code}")
        if answer.status_code not in {200, 206}:
            raise FetchFailed(f"{file.url} answers {answer.status_code}: the file is not there (any more).")
        found = _RANGE.match(answer.headers.get("content-range", "")) if answer.status_code == 206 else None
        if found is None or int(found[1]) != have:
            # It sends the whole of it, whatever was asked for.
            output.truncate(0)
            have = 0
            if answer.status_code == 206:
                raise _Interrupted(f"{answer.url.host} sends another part than it was asked for")
        # As it comes: blocks of a size of ours would be lost with the line.
        for block in answer.iter_raw():
            output.write(block)
            have += len(block)
            if have > file.size + SLACK_BYTES:
                output.truncate(0)
                raise FetchFailed(f"{file.url} is larger than {file.name} has ever been: it was thrown away.")
            tell(have, max(have, file.size))


def _why(file: File, error: Exception, have: int) -> str:
    kept = f" {have / 1e6:.1f} MB of {file.name} are kept, the next `cueline get` goes on from there." if have else ""
    host = httpx.URL(file.url).host
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return f"{host} cannot be reached: is this machine on the internet, or is there a proxy (HTTPS_PROXY)?{kept}"
    return f"The line to {host} broke off {TRIES} times ({error}).{kept}"


def _length(output: BinaryIO) -> int:
    output.flush()
    return os.fstat(output.fileno()).st_size


def _is_right(path: Path, file: File) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
