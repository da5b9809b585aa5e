#!/usr/bin/env python3
"""Drives the real window under Xvfb with xdotool: sizes, pixels, keys, mouse, focus, closing.

usage: sdl_xvfb_test.py PROBE [FOLDER]     screenshots go to FOLDER if given; exit status 77: skipped
"""
import os, shutil, subprocess, sys, tempfile, time

for tool in ("Xvfb", "xdotool", "xwd"):
    if not shutil.which(tool):
        print("skipped: no", tool)
        sys.exit(77)


def start_x():
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
                              pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    number = os.fdopen(read).readline().strip()
    os.environ["DISPLAY"] = ":" + number
    return server


def x(*args):
    return subprocess.run(["xdotool", *map(str, args)], check=True, capture_output=True, text=True, timeout=20).stdout


class Screen:
    """An xwd dump of the root window, parsed (24 or 32 bits a pixel, little-endian)."""
    def __init__(self, keep=None):
        data = subprocess.run(["xwd", "-root", "-silent"], check=True, capture_output=True, timeout=20).stdout
        if keep:
            open(keep, "wb").write(data)
        word = lambda i: int.from_bytes(data[4 * i:4 * i + 4], "big")
        self.width, self.height, self.line, self.step = word(4), word(5), word(12), word(11) // 8
        self.data = data[word(0) + 12 * word(19):]

    def at(self, px, py):
        o = py * self.line + self.step * px
        return int.from_bytes(self.data[o:o + 3], "little")


def wait_for(what, test, seconds=10):
    end = time.time() + seconds
    while time.time() < end:
        if test():
            return
        time.sleep(0.05)
    raise AssertionError("never happened: " + what + "\n" + "".join(open(log.name).readlines()[-20:]))


def said(*lines):
    text = open(log.name).read().splitlines()
    at = 0
    for line in lines:
        if line not in text[at:]:
            return False
        at = text.index(line, at) + 1
    return True


server = start_x()
log = tempfile.NamedTemporaryFile("w", suffix=".log")
env = dict(os.environ, SDL_VIDEODRIVER="x11")
probe = subprocess.Popen([sys.argv[1]], stdout=log, env=env)
folder = sys.argv[2] if len(sys.argv) > 2 else None
try:
    wait_for("start", lambda: said("ready"))
    window = x("search", "--sync", "--name", "probe").split()[0]
    size = lambda: dict(l.split("=") for l in x("getwindowgeometry", "--shell", window).split() if "=" in l)

    def shows(width, height, scale=1):
        g = size()
        if (int(g["WIDTH"]), int(g["HEIGHT"])) != (width * scale, height * scale):
            return False
        s, left, top = Screen(folder and f"{folder}/{width}x{height}x{scale}.xwd"), int(g["X"]), int(g["Y"])
        for px, py in ((0, 0), (width - 1, height - 1), (5, 5), (20, 5), (width - 3, height // 2)):
            edge = px in (0, width - 1) or py in (0, height - 1)
            want = 0xFFFFFF if edge else 0xC04020 if (px // 16 + py // 16) % 2 else 0x2040C0
            for d in (0, scale - 1):
                if s.at(left + px * scale + d, top + py * scale + d) != want:
                    return False
        return True

    wait_for("the pattern at 1:1", lambda: shows(320, 200))
    x("windowsize", window, 640, 400)
    wait_for("the pattern doubled", lambda: shows(320, 200, 2))
    x("windowsize", window, 320, 200)
    wait_for("the pattern at 1:1 again", lambda: shows(320, 200))

    assert "click to use the mouse" in x("getwindowname", window)
    assert "123 MIPS" in x("getwindowname", window)
    x("windowfocus", "--sync", window)
    x("key", "a")
    wait_for("key a", lambda: said("key 4 1", "key 4 0"))
    x("key", "ctrl+alt+Delete")
    wait_for("ctrl+alt+delete", lambda: said("key 224 1", "key 226 1", "key 76 1", "key 76 0"))
    x("key", "Up"), x("key", "KP_Enter"), x("key", "F12")
    wait_for("cursor and keypad keys", lambda: said("key 82 1", "key 88 1", "key 69 1"))

    x("mousemove", "--window", window, 100, 100)
    x("click", 1)
    wait_for("grab", lambda: "Ctrl+Alt+G releases" in x("getwindowname", window))
    assert not said("button 0 1"), "the grabbing click must not reach the guest"
    x("mousemove_relative", "--", 7, -3)
    wait_for("motion", lambda: said("rel 7 -3 0"))
    x("click", 3), x("click", 4), x("click", 5)
    wait_for("right button and wheel", lambda: said("button 1 1", "button 1 0", "rel 0 0 1", "rel 0 0 -1"))
    x("keydown", "ctrl"), x("keydown", "alt"), x("key", "g"), x("keyup", "alt"), x("keyup", "ctrl")
    wait_for("release", lambda: "click to use" in x("getwindowname", window))
    assert not said("key 10 1"), "the chord's G must not reach the guest"

    x("key", "F2")
    wait_for("a new mode resizes the window", lambda: shows(640, 480))
    x("keydown", "z")
    wait_for("z pressed", lambda: said("key 29 1"))
    x("windowunmap", window)
    wait_for("focus loss releases z", lambda: said("key 29 1", "key 29 0"))
    x("keyup", "z"), x("windowmap", window)
    # What a window manager sends when the close button is pressed.
    import ctypes, ctypes.util
    xlib = ctypes.CDLL(ctypes.util.find_library("X11"))
    xlib.XOpenDisplay.restype = ctypes.c_void_p
    display = ctypes.c_void_p(xlib.XOpenDisplay(None))
    atom = lambda name: xlib.XInternAtom(display, name, 0)

    class ClientMessage(ctypes.Structure):
        _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int),
                    ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong),
                    ("format", ctypes.c_int), ("data", ctypes.c_long * 5), ("pad", ctypes.c_long * 16)]

    def close():
        m = ClientMessage(33, 0, 1, display, int(window), atom(b"WM_PROTOCOLS"), 32)
        m.data[0] = atom(b"WM_DELETE_WINDOW")
        xlib.XSendEvent(display, ctypes.c_ulong(int(window)), 0, 0, ctypes.byref(m))
        xlib.XFlush(display)

    close()
    wait_for("closing asks", lambda: said("close"))
    assert probe.poll() is None
    wait_for("the title says so", lambda: "close again" in x("getwindowname", window))
    close()
    wait_for("closing again quits", lambda: probe.poll() == 0)
    assert said("quit")
    print("ok")
finally:
    if probe.poll() is None:
        probe.kill()
    server.terminate()
    server.wait(10)
