"""A headless Chromium that does what a user does: clicks, keys, touches. It is spoken to over two pipes.

`NUCLICK_CHROMIUM` names the program where it is not found by itself.
"""

import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from browser_tab import WITHIN, BrowserTab, RefusedError

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_KEYS = {"Enter": 13, "Delete": 46, "Escape": 27, "Home": 36, " ": 32, "Tab": 9}
_KEYS |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
_TYPED = {"Enter": "\r", " ": " "}
_CONTROL, _SHIFT = 2, 8


def find_chromium() -> str | None:
    """Return the program; None where there is none, or it cannot be spoken to over pipes."""
    if sys.platform == "win32":
        return None
    return os.environ.get("NUCLICK_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """A browser with an empty profile of its own."""

    def __init__(self, program: str, folder: Path, size: tuple[int, int] = (1280, 800)) -> None:
        self._folder = folder
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        # The browser knows its pipes by number, 3 and 4: out of the way of these first.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 50) for end in (to_read, to_write)]
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe",
            "--disable-dev-shm-usage",
        ]
        self._process = subprocess.Popen(
            [program, *options, f"--user-data-dir={folder / 'profile'}", f"--window-size={size[0]},{size[1]}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=lambda: (os.dup2(ends[0], 3), os.dup2(ends[1], 4)),  # noqa: PLW1509 - takes no lock
        )
        for end in (to_read, to_write, *ends):
            os.close(end)
        self._numbers = itertools.count(1)
        self._answers: dict[int, Any] = {}
        self._changed = threading.Condition()
        self.events: list[dict[str, Any]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        rest = b""
        while part := os.read(self._from, 1 << 16):
            *messages, rest = (rest + part).split(b"\0")
            for message in map(json.loads, messages):
                with self._changed:
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self.events.append(message)
                    self._changed.notify_all()

    def send(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Send a command; return its result, or raise what the browser says is wrong."""
        number = next(self._numbers)
        about = {"sessionId": session} if session else {}
        os.write(self._to, json.dumps({"id": number, "method": method, "params": parameters, **about}).encode() + b"\0")
        with self._changed:
            there = self._changed.wait_for(lambda: number in self._answers, WITHIN)
            assert there, f"Chromium has not answered {method}"
            answer = self._answers.pop(number)
        if "error" in answer:
            raise RefusedError(method, answer["error"])
        return answer["result"]

    def open(self, address: str, *, touch: bool = False) -> "Tab":
        """Return a new tab on an address."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, target, session)
        for domain in ("Page", "Runtime", "Log"):
            tab.send(f"{domain}.enable")
        if touch:
            tab.send("Emulation.setTouchEmulationEnabled", enabled=True)
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self._folder), eventsEnabled=True)
        tab.send("Page.navigate", url=address)
        return tab

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(20)
        os.close(self._to)


class Tab(BrowserTab):
    """One page of a browser."""

    def __init__(self, browser: Chromium, target: str, session: str) -> None:
        self.browser, self._target, self._session = browser, target, session

    def send(self, method: str, **parameters: Any) -> Any:
        return self.browser.send(method, self._session, **parameters)

    def run(self, script: str) -> Any:
        """Return what an expression of JavaScript comes to, awaited."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, (script, answer["exceptionDetails"])
        return answer["result"].get("value")

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, places: list[tuple[float, float]]) -> None:
        """Press at the first place, move through the others, and let go at the last."""
        self._mouse("mousePressed", places[0])
        for place in places[1:]:
            self._mouse("mouseMoved", place)
        self._mouse("mouseReleased", places[-1])

    def _mouse(self, kind: str, place: tuple[float, float]) -> None:
        pressed = {"button": "left", "buttons": 1, "clickCount": 0 if kind == "mouseMoved" else 1}
        self.send("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], **pressed)

    def touch(self, x: float, y: float) -> None:
        self.touches("touchStart", [(x, y)])
        self.touches("touchEnd", [])

    def touches(self, kind: str, places: list[tuple[float, float]]) -> None:
        """Have fingers come, move or go; `places` are those that are on the screen then."""
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
        self.send("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def key(self, key: str, *, control: bool = False, shift: bool = False) -> None:
        code = _KEYS.get(key, ord(key.upper()[0]))
        held = (_CONTROL if control else 0) | (_SHIFT if shift else 0)
        named = {"key": key, "windowsVirtualKeyCode": code, "modifiers": held}
        typed = {"type": "keyDown", "text": _TYPED[key]} if key in _TYPED else {"type": "rawKeyDown"}
        self.send("Input.dispatchKeyEvent", **typed, **named)
        self.send("Input.dispatchKeyEvent", type="keyUp", **named)

    def choose_file(self, selector: str, path: Path) -> None:
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def picture(self, path: Path, quality: int = 88) -> None:
        """Save what the tab shows as JPEG."""
        answer = self.send("Page.captureScreenshot", format="jpeg", quality=quality)
        path.write_bytes(base64.b64decode(answer["data"]))

    def complaints(self) -> list[Any]:
        """Return what the browser's log says is wrong: refused by policy, thrown, not found."""
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self._session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                found.append(event["params"]["exceptionDetails"])
            if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                found.append(event["params"]["entry"]["text"])
        return found

    def close(self) -> None:
        self.browser.send("Target.closeTarget", targetId=self._target)
