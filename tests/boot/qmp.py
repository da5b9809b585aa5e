"""A small QMP client: the emulator's control socket, seen from a test."""
import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
import time


class Machine:
    """The emulator with a control socket. Its screen is read, its keys are typed over that socket."""

    def __init__(self, calque, options, limit=300, **popen):
        self.limit = limit
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "control")
        self.log = open(os.path.join(self.folder.name, "log"), "w+b")
        self.process = subprocess.Popen([calque, "--control", "unix:" + path, *options], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT, **popen)
        atexit.register(self.process.kill)
        self.socket = socket.socket(socket.AF_UNIX)
        self.events = []
        for _ in range(600):
            try:
                self.socket.connect(path)
                break
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        else:
            self.fail("the control socket did not come")
        if self.process.poll() is not None:
            self.fail(f"ended with status {self.process.returncode}")
        self.file = self.socket.makefile("rw")
        if "QMP" not in json.loads(self.file.readline()):
            self.fail("no greeting on the control socket")
        self.run("qmp_capabilities")

    def run(self, command, **arguments):
        """Executes a command; returns what it returned. Events that come meanwhile are kept in `events`."""
        try:
            self.file.write(json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})}) + "\n")
            self.file.flush()
            while True:
                line = self.file.readline()
                if not line:
                    self.fail(f"the control socket closed at {command}")
                answer = json.loads(line)
                if "event" in answer:
                    self.events.append(answer)
                elif "error" in answer:
                    self.fail(f"{command}: {answer['error']}")
                else:
                    return answer["return"]
        except (OSError, ValueError) as error:
            self.fail(f"{command}: {error}")

    def screen(self):
        """The text screen as one string, empty in a graphics mode."""
        lines = self.run("x-screen-text")
        if isinstance(lines, dict):
            lines = lines.get("lines", [])
        return "\n".join(line.rstrip() for line in lines)

    def wait_for(self, condition, what, every=0.5):
        """Polls until condition() is true; returns its value."""
        deadline = time.monotonic() + self.limit
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.fail(f"ended with status {self.process.returncode} before {what}")
            value = condition()
            if value:
                return value
            time.sleep(every)
        self.fail(f"{what} did not come in {self.limit} s")

    def wait_text(self, text, every=0.5):
        return self.wait_for(lambda: text in self.screen(), repr(text), every)

    def type(self, text):
        """Types characters of a US keyboard, one key after the other."""
        names = {" ": "spc", "\n": "ret", "-": "minus", "=": "equal", "/": "slash", ".": "dot", ",": "comma", ";": "semicolon",
                 "'": "apostrophe", "\\": "backslash", "[": "bracket_left", "]": "bracket_right"}
        shifted = dict(zip("!@#$%^&*()_+:\"?<>{}|~",
                           [*"1234567890", "minus", "equal", "semicolon", "apostrophe", "slash", "comma", "dot", "bracket_left",
                            "bracket_right", "backslash", "grave_accent"]))
        for c in text:
            keys = ["shift", shifted.get(c, c.lower())] if c in shifted or c.isupper() else [names.get(c, c)]
            self.key(*keys)

    def key(self, *names):
        """Presses keys together, for 10 ms of machine time."""
        self.run("send-key", keys=[{"type": "qcode", "data": k} for k in names], **{"hold-time": 10})
        time.sleep(0.1)

    def quit(self):
        """Ends the emulator; returns its exit status."""
        self.run("quit")
        return self.wait()

    def wait(self):
        try:
            return self.process.wait(self.limit)
        except subprocess.TimeoutExpired:
            self.fail(f"still running after {self.limit} s")

    def said(self):
        """What the emulator wrote so far."""
        self.log.flush()
        with open(self.log.name, "rb") as f:
            return f.read().decode(errors="replace")

    def fail(self, why):
        if self.process.poll() is None:
            try:
                self.socket.settimeout(5)
                self.socket.sendall(b'{"execute":"x-screen-text"}\n{"execute":"human-monitor-command","arguments":'
                                    b'{"command-line":"info registers"}}\n')
                time.sleep(1)
                for line in self.socket.recv(1 << 16).decode(errors="replace").splitlines():
                    try:
                        value = json.loads(line).get("return")
                    except ValueError:
                        continue
                    lines = value if isinstance(value, list) else value.get("lines", []) if isinstance(value, dict) else [str(value)]
                    print("\n".join(str(v) for v in lines))
            except OSError:
                pass
        self.process.kill()
        print(self.said()[-4000:])
        sys.exit(f"\nFAILED: {why}")
