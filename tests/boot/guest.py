"""Runs the emulator with a guest on its serial port (standard input and output) and talks to it.

A test waits for markers, not for times; the limit of a wait only bounds a guest that hangs.
"""
import atexit
import os
import re
import subprocess
import sys
import threading
import time

IMAGES = "/usr/lib/debian-installer/images/12/{arch}/{kind}/debian-installer/{arch}/"


def installer(arch, kind="text"):
    """Kernel and initrd of Debian's installer."""
    d = IMAGES.format(arch=arch, kind=kind)
    return ["--kernel", d + "linux", "--initrd", d + "initrd.gz"]


# Busybox asks the terminal for its cursor position behind the prompt.
PROMPT = r"# (\x1b\[6n)?$"


class Guest:
    def __init__(self, command, limit=300):
        self.limit, self.text, self.seen = limit, "", 0
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        atexit.register(self.process.kill)
        self.news = threading.Condition()
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            with self.news:
                self.text += data.decode(errors="replace")
                self.ended = not data
                self.news.notify_all()
            if not data:
                return

    def expect(self, pattern):
        """Waits for a regular expression behind what earlier waits have found; returns the match."""
        deadline = time.monotonic() + self.limit
        with self.news:
            while True:
                match = re.compile(pattern).search(self.text, self.seen)
                if match:
                    self.seen = match.end()
                    return match
                if self.ended or not self.news.wait(max(0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    self.fail(f"{pattern!r} did not come" + (" before the end" if self.ended else f" in {self.limit} s"))

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def run(self, line, prompt=PROMPT):
        """Types a shell command and returns what it printed."""
        start = self.seen
        self.send(line)
        self.expect(re.escape(line[-20:]) + r"\r*\n")
        start = self.seen
        end = self.expect(prompt)
        return self.text[start:end.start()].replace("\r", "")

    def wait(self):
        """Waits for the emulator to end; returns its exit status."""
        try:
            return self.process.wait(self.limit)
        except subprocess.TimeoutExpired:
            self.fail(f"still running after {self.limit} s")

    def fail(self, why):
        self.process.kill()
        print(self.text[-4000:])
        sys.exit(f"\nFAILED: {why}")

    def close(self):
        self.process.kill()
        self.process.wait()


def check(condition, what, shown=""):
    if not condition:
        sys.exit(f"FAILED: {what}\n{shown}")


def log_in(guest, user="root", password="calque"):
    """Logs in on a serial console of Debian's; returns the pattern of the shell's prompt."""
    prompt = r"root@[^\n]*# $"
    guest.expect(r"login: $")
    guest.send(user)
    guest.expect(r"Password: $")
    guest.send(password)
    guest.expect(prompt)
    guest.send("stty cols 1000; bind 'set enable-bracketed-paste off'")  # lines are echoed as they are typed
    guest.expect(r"paste off'\r*\n[^#]*# $")
    return prompt
