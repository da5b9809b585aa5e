#!/usr/bin/env python3
"""Runs the guest program on Calque; passes when every check came out as the manual says.

  run.py CALQUE IMAGE [options of calque]
"""
import os
import re
import shlex
import subprocess
import sys


def main():
    calque, image, *options = sys.argv[1:]
    command = shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")) + [
        calque, "--memory", "64M", "--display", "none", "--serial", "stdio", "--no-reboot", "--kernel", image, "--device", "isa-debug-exit", *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    end = done.stdout.splitlines()[-1] if done.stdout else ""
    good = re.fullmatch(r"[1-9]\d* checks, 0 deviations", end) and done.returncode == 1  # isa-debug-exit's way to say 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
