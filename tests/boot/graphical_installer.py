#!/usr/bin/env python3
"""Debian's graphical installer in an SDL window: its language screen, and by mouse and keyboard to the screen behind it.

    graphical_installer.py CALQUE [--shots FOLDER] [options of calque ...]     needs Xvfb, xdotool and ImageMagick
"""
import os
import re
import subprocess
import sys
import tempfile
import time

from guest import check, installer
from qmp import Machine

calque, *options = sys.argv[1:]
shots = tempfile.mkdtemp(dir="/var/tmp")
if options[:1] == ["--shots"]:
    shots, options = options[1], options[2:]
    os.makedirs(shots, exist_ok=True)

# The X server chooses a free display and writes its number.
read_end, write_end = os.pipe()
server = subprocess.Popen(["Xvfb", "-displayfd", str(write_end), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"],
                          pass_fds=[write_end], stderr=subprocess.DEVNULL)
os.close(write_end)
display = ":" + os.read(read_end, 16).decode().strip()
environment = {**os.environ, "DISPLAY": display, "SDL_VIDEODRIVER": "x11"}


def xdotool(*words):
    return subprocess.run(["xdotool", *words], env=environment, capture_output=True, text=True).stdout.strip()


def look(name):
    """The window as the X server shows it, as a PNG file."""
    path = os.path.join(shots, name + ".png")
    subprocess.run(["import", "-window", window()[0], path], env=environment, check=True)
    return path


def guest_screen(name="guest"):
    path = os.path.join(shots, name + ".png")
    machine.run("screendump", filename=path, format="png")
    return path


def size(path):
    return subprocess.run(["identify", "-format", "%wx%h", path], capture_output=True, text=True).stdout


def different(a, b):
    """How many pixels of two pictures of the same size differ."""
    text = subprocess.run(["compare", "-metric", "AE", a, b, "null:"], capture_output=True, text=True).stderr
    return float(text.split()[0])


def settle(name, pause=3.0):
    """Waits until the guest's picture stays as it is; returns it."""
    def still():
        first = guest_screen(name + "_before")
        time.sleep(pause)
        second = guest_screen(name)
        if size(first) == size(second) and different(first, second) < 1000:
            os.unlink(first)
            return second
        return None
    return machine.wait_for(still, f"a still picture ({name})", every=0.1)


def window():
    """The window's id, place and size."""
    found = xdotool("search", "--onlyvisible", "--name", "Installer").split()
    if not found:
        return None
    geometry = dict(line.split("=") for line in xdotool("getwindowgeometry", "--shell", found[0]).splitlines())
    return found[0], int(geometry["X"]), int(geometry["Y"]), int(geometry["WIDTH"]), int(geometry["HEIGHT"])




def pointer(reference):
    """Where the guest's pointer stands now: the first thing on the screen that `reference`, taken with the pointer away, lacks."""
    box = subprocess.run(["convert", reference, guest_screen("now"), "-compose", "difference", "-composite", "-threshold", "5%",
                          "-format", "%@", "info:"], capture_output=True, text=True).stdout
    found = re.match(r"(\d+)x(\d+)\+(\d+)\+(\d+)", box)
    return (int(found[3]), int(found[4])) if found and int(found[1]) else (1023, 767)


def is_list(picture):
    """The installer's questions are white lists; before and between them the screen is black or grey."""
    return float(subprocess.run(["convert", picture, "-crop", "900x400+50+250", "-colorspace", "gray", "-threshold", "98%", "-format",
                                 "%[fx:mean]", "info:"], capture_output=True, text=True).stdout) > 0.6


def question(name, after=None):
    """Waits for a question other than the one in the picture `after`."""
    def shown():
        picture = settle(name)
        return is_list(picture) and (not after or different(after, picture) > 5000) and picture
    return machine.wait_for(shown, f"the question {name!r}", every=1)


try:
    machine = Machine(calque, ["--name", "Installer", "--memory", "1G", *installer("amd64", "gtk"), "--append", "vga=788 --- quiet",
                               "--display", "sdl", "--serial", "none", "--clock", "host", *options], limit=1200, env=environment)
    machine.wait_for(window, "the window")
    machine.wait_for(lambda: size(guest_screen()) == "1024x768", "the graphics driver's mode", every=2)
    language = question("language")
    look("window-language")

    # A click into the window grabs the mouse; from then on the guest's pointer moves by what the mouse moves.
    place = window()
    check(place[3:] == (1024, 768), "the window has the size of the guest's mode", place)
    check(place[1] + 1024 <= 1280 and place[2] + 768 <= 1024, "all of the window is on the screen", place)
    xdotool("mousemove", str(place[1] + 600), str(place[2] + 400), "click", "1")
    time.sleep(1)
    check("releases the mouse" in xdotool("getwindowname", place[0]), "the title says how the mouse comes back")
    for _ in range(25):
        xdotool("mousemove_relative", "--", "60", "60")
        time.sleep(0.1)
    corner = settle("corner")
    check(different(language, corner) > 50, "the pointer moves")
    for _ in range(100):  # to the middle of the button Continue, whatever the guest makes of our speed
        x, y = pointer(corner)
        if 930 < x < 1000 and 735 < y < 752:
            break
        xdotool("mousemove_relative", "--", "-3" if x > 965 else "3", "-2" if y > 745 else "1")
        time.sleep(0.3)
    else:
        check(False, "the pointer reaches the button", (x, y))
    xdotool("click", "1")
    location = question("location", after=corner)
    look("window-location")

    # The keyboard: to the list, two lines up in it, and on.
    xdotool("key", "Up")
    time.sleep(0.5)
    xdotool("key", "Up")
    time.sleep(0.5)
    chosen = settle("chosen")
    check(different(location, chosen) > 1000, "the keys move in the list")
    xdotool("key", "Return")
    question("keyboard", after=chosen)
    look("window-keyboard")
    print("ok, pictures in", shots)
finally:
    server.terminate()
