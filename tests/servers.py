"""A server that misbehaves as it is asked to."""

from http.server import BaseHTTPRequestHandler

CONTENT = bytes(i * i % 251 for i in range(50_000))


class Server(BaseHTTPRequestHandler):
    """What the first part of the path asks for; every request is noted."""

    asked: list[tuple[str, str | None]]

    def do_GET(self):
        manner = self.path.split("/")[1]
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        first = all(path != self.path for path, _ in self.asked)
        self.asked.append((self.path, self.headers.get("Range")))
        if manner == "missing":
            return self.send_error(404)
        if manner in ("stubborn", "forgetful"):
            start = 0
        content = CONTENT[::-1] if manner == "corrupt" else CONTENT[:-7] if manner == "cut" else CONTENT
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            at = start + 1 if manner == "askew" else start
            self.send_header("Content-Range", f"bytes {at}-{len(content) - 1}/{len(content)}")
        if manner != "unknown":
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        step = {"dropping": 20_000, "stubborn": 20_000, "askew": 20_000}.get(manner, len(content))
        step = 20_000 if manner == "forgetful" and first else step
        self.wfile.write(content[start : start + step])

    def log_message(self, *arguments): ...
