"""A headless Firefox that does what a user does, spoken to by WebDriver BiDi, which it has built in.

`NUCLICK_FIREFOX` names the program where it is not found by itself.
"""

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from browser_tab import WITHIN, BrowserTab, RefusedError
from web_socket import WebSocket

NAMES = ("firefox-esr", "firefox")
_KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Delete": "\ue017", "Home": "\ue011", "Tab": "\ue004"}
_KEYS |= {"ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015"}
_CONTROL, _SHIFT = "\ue009", "\ue008"


def find_firefox() -> str | None:
    """Return the program; None where there is none."""
    return os.environ.get("NUCLICK_FIREFOX") or next(filter(None, map(shutil.which, NAMES)), None)


class Firefox:
    """A browser with an empty profile of its own, which keeps what it downloads in a folder without asking."""

    def __init__(self, program: str, folder: Path) -> None:
        self._folder = folder
        profile = folder / "profile"
        profile.mkdir()
        settings = {
            "browser.download.folderList": 2,
            "browser.download.dir": str(folder),
            "browser.download.always_ask_before_handling_new_types": False,
            "browser.shell.checkDefaultBrowser": False,
            "datareporting.policy.dataSubmissionEnabled": False,
            "app.update.auto": False,
        }
        lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in settings.items()]
        (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
        command = [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
        size = ["--width", "1280", "--height", "800"]
        self._process = subprocess.Popen(
            [*command, *size], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert self._process.stderr is not None
        told = ""
        while not (found := re.search(r"listening on ws://([\d.]+):(\d+)", told)):
            told = self._process.stderr.readline()
            assert told or self._process.poll() is None, "Firefox has ended"
        threading.Thread(target=self._process.stderr.read, daemon=True).start()
        self._socket = WebSocket(found[1], int(found[2]), "/session")
        self._numbers = itertools.count(1)
        self._answers: dict[int, Any] = {}
        self._changed = threading.Condition()
        self.events: list[dict[str, Any]] = []
        threading.Thread(target=self._listen, daemon=True).start()
        self.version = self.send("session.new", capabilities={})["capabilities"]["browserVersion"]
        self.send("session.subscribe", events=["log.entryAdded"])

    def _listen(self) -> None:
        while (text := self._received()) is not None:
            message = json.loads(text)
            with self._changed:
                if message.get("id") is None:
                    self.events.append(message)
                else:
                    self._answers[message["id"]] = message
                self._changed.notify_all()

    def _received(self) -> str | None:
        try:
            return self._socket.receive()
        except OSError:
            return None

    def send(self, method: str, **parameters: Any) -> Any:
        """Send a command; return its result, or raise what the browser says is wrong."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        with self._changed:
            there = self._changed.wait_for(lambda: number in self._answers, WITHIN)
            assert there, f"Firefox has not answered {method}"
            answer = self._answers.pop(number)
        if answer["type"] == "error":
            raise RefusedError(method, answer["error"], answer["message"])
        return answer["result"]

    def open(self, address: str) -> "FirefoxTab":
        """Return a new tab on an address."""
        tab = FirefoxTab(self, self.send("browsingContext.create", type="tab")["context"])
        self.send("browsingContext.navigate", context=tab.context, url=address, wait="complete")
        return tab

    def close(self) -> None:
        """End the browser."""
        self._socket.close()
        self._process.terminate()
        self._process.wait(60)


class FirefoxTab(BrowserTab):
    """One page of Firefox."""

    def __init__(self, browser: Firefox, context: str) -> None:
        self.browser, self.context = browser, context

    def run(self, script: str) -> Any:
        """Return what an expression of JavaScript comes to, awaited."""
        whole = f"Promise.resolve({script}).then((found) => JSON.stringify(found) ?? 'null')"
        target = {"context": self.context}
        answer = self.browser.send("script.evaluate", expression=whole, target=target, awaitPromise=True)
        assert answer["type"] == "success", (script, answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def click(self, x: float, y: float) -> None:
        """Click a place in the window."""
        self.drag([(x, y)])

    def drag(self, places: list[tuple[float, float]]) -> None:
        """Press at the first place, move through the others, and let go at the last."""
        first, *others = [{"type": "pointerMove", "x": round(x), "y": round(y)} for x, y in places]
        pressed = {"type": "pointerDown", "button": 0}
        steps = [first, pressed, *others, {"type": "pointerUp", "button": 0}]
        self._do({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps})

    def key(self, key: str, *, control: bool = False, shift: bool = False) -> None:
        """Press a key, with others held."""
        keys = [*([_CONTROL] if control else []), *([_SHIFT] if shift else []), _KEYS.get(key, key)]
        down = [{"type": "keyDown", "value": one} for one in keys]
        up = [{"type": "keyUp", "value": one} for one in reversed(keys)]
        self._do({"type": "key", "id": "keys", "actions": [*down, *up]})

    def _do(self, actions: dict[str, Any]) -> None:
        self.browser.send("input.performActions", context=self.context, actions=[actions])

    def picture(self, path: Path) -> None:
        """Save what the tab shows as PNG."""
        answer = self.browser.send("browsingContext.captureScreenshot", context=self.context)
        path.write_bytes(base64.b64decode(answer["data"]))

    def complaints(self) -> list[str]:
        """Return what the browser's log says is wrong."""
        entries = [event["params"] for event in self.browser.events if event["method"] == "log.entryAdded"]
        return [entry["text"] for entry in entries if entry["level"] == "error"]

    def close(self) -> None:
        """Close the tab."""
        self.browser.send("browsingContext.close", context=self.context)
