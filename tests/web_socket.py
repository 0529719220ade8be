"""A client of WebSockets (RFC 6455), just large enough to speak to a browser on this machine."""

import base64
import os
import socket
import struct


class WebSocket:
    """One connection on which texts go to and fro."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._socket = socket.create_connection((host, port), timeout=120)
        key = base64.b64encode(os.urandom(16)).decode()
        asked = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        asked += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        self._socket.sendall("\r\n".join([*asked, "", ""]).encode())
        self._file = self._socket.makefile("rb")
        status = self._file.readline()
        assert b" 101 " in status, status
        while self._file.readline().strip():
            pass

    def send(self, text: str) -> None:
        """Send a text as one frame, masked as clients have to."""
        content, mask = text.encode(), os.urandom(4)
        size = len(content)
        head = bytes([0x80 | 126]) + struct.pack(">H", size) if 126 <= size < 1 << 16 else b""
        head = head or (bytes([0x80 | size]) if size < 126 else bytes([0x80 | 127]) + struct.pack(">Q", size))
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
        self._socket.sendall(b"\x81" + head + mask + masked)

    def receive(self) -> str | None:
        """Return the next text; None once the other side has closed."""
        text = b""
        while True:
            head = self._file.read(2)
            if len(head) < 2 or head[0] & 0x0F == 8:
                return None
            size = head[1] & 0x7F
            if size >= 126:
                size = int.from_bytes(self._file.read(2 if size == 126 else 8), "big")
            content = self._file.read(size)
            if head[0] & 0x0F in (0, 1):
                text += content
                if head[0] & 0x80:
                    return text.decode()

    def close(self) -> None:
        """End the connection, also under a thread that waits for a text."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
