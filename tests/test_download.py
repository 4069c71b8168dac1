"""Fetching from servers that behave, and from such as drop the connection, ignore ranges, cut, corrupt or lack the file."""

import hashlib
import multiprocessing
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import published_files as files
import pytest
from servers import CONTENT, Server

from pipeline import Refusal
from pipeline.data import download
from pipeline.data.download import File, fetched
from pipeline.params import ROOT
from stages.prepare import make

SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


@pytest.fixture
def server(monkeypatch) -> Iterator[tuple[str, list]]:
    """Its address, and what was asked of it."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    handler = type("Handler", (Server,), {"asked": []})
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}", handler.asked
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "home"))
    return tmp_path / "home" / "set"


def file(server: str, *manners: str, digest: str | None = SHA256) -> File:
    return File("a.bin", digest, tuple(f"{server}/{manner}/" for manner in manners))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"a.bin.lock"}


def refused(file: File) -> str:
    with pytest.raises(Refusal) as found:
        fetched("set", (file,))
    assert "\n" not in str(found.value)
    return str(found.value)


@pytest.mark.parametrize("digest", [SHA256, MD5])
@pytest.mark.parametrize("manner", ["good", "unknown"])
def test_a_file_is_fetched_once_with_progress(server, home, capsys, digest, manner):
    address, asked = server
    for _ in range(2):
        assert fetched("set", (file(address, manner, digest=digest),)) == home
    assert (home / "a.bin").read_bytes() == CONTENT and names(home) == {"a.bin"}
    assert asked == [(f"/{manner}/a.bin", None)]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{address}/{manner}/a.bin: 0.0") and lines[-1].startswith("a.bin: 0.1")


def test_a_broken_connection_is_taken_up_where_it_broke(server, home):
    address, asked = server
    fetched("set", (file(address, "dropping"),))
    assert (home / "a.bin").read_bytes() == CONTENT and names(home) == {"a.bin"}
    assert [bytes_ for _, bytes_ in asked] == [None, "bytes=20000-", "bytes=40000-"]


def test_another_start_goes_on_with_what_is_there(server, home):
    address, asked = server
    home.mkdir(parents=True)
    (home / "a.bin.part").write_bytes(CONTENT[:30_000])
    fetched("set", (file(address, "good"),))
    assert (home / "a.bin").read_bytes() == CONTENT and asked == [("/good/a.bin", "bytes=30000-")]


def test_what_had_arrived_whole_is_not_fetched_again(server, home):
    address, asked = server
    home.mkdir(parents=True)
    (home / "a.bin.part").write_bytes(CONTENT)
    fetched("set", (file(address, "good"),))
    assert (home / "a.bin").read_bytes() == CONTENT and asked == [("/good/a.bin", "bytes=50000-")]


BEFORE = {"right": CONTENT[:30_000], "wrong": CONTENT[::-1][:30_000], "too long": CONTENT + b"more"}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("manner", ["forgetful", "good"])
def test_a_wrong_beginning_and_a_server_that_ignores_ranges(server, home, before, manner):
    address, _ = server
    home.mkdir(parents=True)
    (home / "a.bin.part").write_bytes(BEFORE[before])
    fetched("set", (file(address, manner),))
    assert (home / "a.bin").read_bytes() == CONTENT and names(home) == {"a.bin"}


def test_a_server_that_never_gets_further_is_given_up(server, home):
    address, asked = server
    said = refused(file(address, "stubborn"))
    assert f"{address}/stubborn/a.bin: the connection broke at 0.0 of 0.1 MB" in said
    assert said.endswith("; a.bin.part is kept and gone on with")
    assert len(asked) == 2 and names(home) == {"a.bin.part"} and (home / "a.bin.part").stat().st_size == 20_000
    fetched("set", (file(address, "good"),))
    assert (home / "a.bin").read_bytes() == CONTENT and asked[-1] == ("/good/a.bin", "bytes=20000-")


def test_a_part_that_was_not_asked_for_is_not_used(server, home):
    address, _ = server
    assert "it sent another part than the one asked for" in refused(file(address, "askew"))
    assert names(home) == set()


def test_mirrors_are_tried_in_turn(server, home):
    address, asked = server
    fetched("set", (file(address, "missing", "corrupt", "cut", "good", "unknown"),))
    assert (home / "a.bin").read_bytes() == CONTENT and names(home) == {"a.bin"}
    assert [path.split("/")[1] for path, _ in asked] == ["missing", "corrupt", "cut", "good"]


def test_a_wrong_checksum_is_refused_and_leaves_nothing(server, home):
    address, _ = server
    said = refused(file(address, "missing", "corrupt"))
    assert f"{address}/missing/a.bin: 404 Not Found, {address}/corrupt/a.bin: its checksum is not {SHA256}" in said
    assert said.endswith(f"; put it into {home}, or name a folder that holds it in `reads`") and names(home) == set()


def test_without_a_network_it_is_said_what_to_put_where(home):
    with socket.socket() as held:  # a port at which nobody answers
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        said = refused(file(address, "good"))
    assert said.startswith(
        f"a.bin: cannot be fetched ({address}/good/a.bin: [Errno 111] Connection refused); put it into {home}"
    )
    (home / "a.bin").write_bytes(CONTENT)
    assert fetched("set", (file(address, "good"),)) == home


def test_what_only_a_person_can_fetch(home):
    by_hand = File("a.bin", SHA256, page="https://example.org")
    otherwise = f"put it into {home}, or name a folder that holds it in `reads`"
    assert refused(by_hand) == f"a.bin: only a person can fetch it, from https://example.org; {otherwise}"


def test_a_file_of_ones_own_must_be_the_published_one(home):
    home.mkdir(parents=True)
    (home / "a.bin").write_bytes(CONTENT[1:])
    said = refused(File("a.bin", SHA256))
    assert said.startswith(f"{home / 'a.bin'}: is sha256:") and said.endswith(
        "was published; remove it to have it fetched again"
    )
    assert (home / "a.bin").read_bytes() == CONTENT[1:]


def test_without_a_published_checksum_the_first_is_remembered(server, home, capsys):
    address, asked = server
    home.mkdir(parents=True)
    (home / "a.bin.part").write_bytes(b"of another version")
    unknown = file(address, "dropping", digest=None)
    fetched("set", (unknown,))
    assert asked[0] == ("/dropping/a.bin", None) and (home / "a.bin").read_bytes() == CONTENT
    assert f"a.bin: no checksum was published, {SHA256} is written down" in capsys.readouterr().out
    assert (home / "a.bin.sha256").read_text() == f"{SHA256.removeprefix('sha256:')}  a.bin\n"
    fetched("set", (unknown,))
    assert "written down" not in capsys.readouterr().out and len(asked) == 3
    (home / "a.bin").write_bytes(CONTENT[:-1])
    assert f"but {SHA256} a.bin.sha256 has" in refused(unknown)


def test_more_than_a_file_may_have_is_not_taken(server, home, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 10_000)
    assert "sends more than 10,000 bytes" in refused(file(server[0], "unknown"))
    assert names(home) == set()


def fetch_beside_others(wanted: File) -> bytes:
    return (fetched("set", (wanted,)) / wanted.name).read_bytes()


def test_several_at_once_fetch_it_once(server, home):
    address, asked = server
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(fetch_beside_others, [file(address, "dropping")] * 3) == [CONTENT] * 3
    assert len(asked) == 3 and names(home) == {"a.bin"}


def test_prepare_fetches_what_the_source_names(server, home, tmp_path, monkeypatch):
    """The whole way, with small files for the published ones; the user's own copy is never fetched."""
    from pipeline.data import mnist

    files.mnist(tmp_path, train=30, test=5)
    contents = {name: (tmp_path / name).read_bytes() for name in mnist.SHA256}
    address, _ = server
    monkeypatch.setattr(Server, "do_GET", lambda self: self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + contents[self.path[1:]]))
    small = tuple(File(n, f"sha256:{hashlib.sha256(c).hexdigest()}", (f"{address}/",)) for n, c in contents.items())
    monkeypatch.setattr(mnist, "FILES", small)
    images = make(source="mnist", reads="pipeline/data/mnist.py", binarised="none", valid=5, seed=0)
    assert [len(split.x) for split in images.splits.values()] == [25, 5, 5]
    assert {path.name for path in (home.parent / "mnist").iterdir()} >= set(contents)
    with pytest.raises(Refusal, match="elsewhere: there is no such file or folder"):
        make(source="mnist", reads="elsewhere", binarised="none", valid=5, seed=0)


def test_what_is_not_fetched_loads_no_network_and_no_parser():
    """`check` reads the signatures of all sources."""
    code = "import sys; from pipeline.data import celeba, cifar10, dsprites, fashion, kmnist, mnist, omniglot, svhn"
    code += "; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert not {"urllib.request", "http.client", "ssl", "tarfile", "scipy", "sklearn", "PIL", "keras"} & set(loaded)
