"""Files of published sets, fetched once into a folder of the user's: $WORKBENCH_DATA, or ~/.cache/likelihood-workbench.

A file arrives as `<source>/<name>.part`, which a later try goes on with, and gets its name once its checksum is right. Of a
file without a published checksum the first one seen is written down beside it, and compared from then on.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline import Refusal

BLOCK, LARGEST = 2**20, 2**33  # bytes that are read at a time; that a file may have
PATIENCE, SILENCE = 60, 5  # seconds that a server may say nothing, and that pass between two lines of progress


@dataclass(frozen=True)
class File:
    """digest: "sha256:..." or "md5:...", as published. at: what `name` completes to an address, the first that answers is used.

    `page` is where a person finds what has no such address.
    """

    name: str
    digest: str | None = None
    at: tuple[str, ...] = ()
    page: str = ""


def home() -> Path:
    return Path(os.environ.get("WORKBENCH_DATA") or "~/.cache/likelihood-workbench").expanduser()


def fetched(source: str, files: tuple[File, ...]) -> Path:
    """The folder that holds all these files, with the right checksums."""
    folder = home() / source
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        with alone(folder / f"{file.name}.lock", file.name):
            if not (folder / file.name).exists():
                fetch(file, folder)
            confirm(file, folder / file.name)
    return folder


@contextmanager
def alone(lock: Path, name: str) -> Iterator[None]:
    """One process at a time; the others then find what it has fetched."""
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{name}: another process is fetching it", flush=True)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def confirm(file: File, path: Path) -> None:
    """Refuse a file that is not the published one, or not the one that was here first."""
    noted = path.with_name(f"{path.name}.sha256")
    expected, whose = file.digest, "was published"
    if expected is None and noted.exists():
        expected, whose = f"sha256:{noted.read_text(encoding='utf-8', errors='replace').split(' ')[0]}", f"{noted.name} has"
    found = digest(path, expected)
    if expected is None:
        print(f"{path.name}: no checksum was published, {found} is written down and compared from now on", flush=True)
        temporary = noted.with_name(f".{noted.name}.{os.getpid()}")
        temporary.write_text(f"{found.partition(':')[2]}  {path.name}\n", encoding="utf-8")
        temporary.replace(noted)
    elif found != expected:
        raise Refusal(f"{path}: is {found}, but {expected} {whose}; remove it to have it fetched again")


def digest(path: Path, like: str | None) -> str:
    """The file's, of the kind that `like` is."""
    kind = (like or "sha256:").partition(":")[0]
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"


def fetch(file: File, folder: Path) -> None:
    """Put the file in the folder under its name, from the first address that has it."""
    part = folder / f"{file.name}.part"
    otherwise = f"put it into {folder}, or name a folder that holds it in `reads`"
    if not file.at:
        raise Refusal(f"{file.name}: only a person can fetch it, from {file.page}; {otherwise}")
    if file.digest is None:
        part.unlink(missing_ok=True)  # nothing would tell a half of an older version
    failures, addresses = [], [f"{at}{file.name}" for at in file.at]
    while addresses:
        address, resumed = addresses.pop(0), part.exists()
        try:
            transfer(address, part)
            if file.digest in (None, digest(part, file.digest)):
                part.replace(folder / file.name)
                return
            part.unlink()
            failures.append(f"{address}: its checksum is not {file.digest}")
        except ConnectionError as error:
            failures.append(f"{address}: {error}")
        if resumed and not part.exists():  # the fault may have been in what was there before
            addresses.insert(0, address)
    kept = f"; {part.name} is kept and gone on with" if part.exists() else ""
    raise Refusal(f"{file.name}: cannot be fetched ({', '.join(failures)}); {otherwise}{kept}")


def transfer(address: str, part: Path) -> None:
    """A connection that breaks is taken up again as long as each gets further; the first may have begun anew."""
    furthest = 0
    while True:
        try:
            return receive(address, part)
        except ConnectionError:
            if size(part) <= furthest:
                raise
            furthest = size(part)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def receive(address: str, part: Path) -> None:
    """One connection's share of the file, from where `part` ends, or from the start if the server cannot do that."""
    start = size(part)
    response = ask(address, start)
    with response:
        length = response.headers.get("Content-Length", "")
        if response.status == 416:  # there is nothing from `start` on
            if response.headers.get("Content-Range") != f"bytes */{start}":
                part.unlink()
                raise ConnectionError("it has fewer bytes than were here")
            return
        if response.status == 206:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                part.unlink()
                raise ConnectionError("it sent another part than the one asked for")
        else:
            start = 0
        total, done, said = start + int(length) if length.isdigit() else None, start, time.monotonic()
        print(f"{address}: {amount(start, total)}", flush=True)
        with part.open("ab" if start else "wb") as out:
            for block in blocks(response):
                done += out.write(block)
                if done > LARGEST:
                    part.unlink()
                    raise Refusal(f"{address}: sends more than {LARGEST:,} bytes")
                if time.monotonic() - said > SILENCE:
                    said = time.monotonic()
                    print(f"{part.stem}: {amount(done, total)}", flush=True)
            out.flush()
            os.fsync(out.fileno())  # else a loss of power may leave the name without all of its bytes
        if total is not None and done != total:
            raise ConnectionError(f"the connection broke at {amount(done, total)}")
        print(f"{part.stem}: {amount(done, total)}", flush=True)


def amount(done: int, total: int | None) -> str:
    return f"{done / 1e6:.1f} MB" if total is None else f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"


def ask(address: str, start: int):
    """The response; whatever is wrong with the network is a ConnectionError, so that a full disk is not taken for it."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    headers = {"User-Agent": "likelihood-workbench", "Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={start}-"} if start else {}
    try:
        return urlopen(Request(address, headers=headers), timeout=PATIENCE)
    except HTTPError as error:
        if error.code == 416 and start:
            return error
        error.close()
        raise ConnectionError(f"{error.code} {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise ConnectionError(one_line(getattr(error, "reason", error))) from None


def blocks(response) -> Iterator[bytes]:
    from http.client import HTTPException

    try:
        while block := response.read(BLOCK):
            yield block
    except (OSError, HTTPException) as error:
        raise ConnectionError(one_line(error)) from None


def one_line(error) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
