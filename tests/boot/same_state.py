#!/usr/bin/env python3
"""The same run prints the same state hash, whatever executes it.   same_state.py CALQUE INSTRUCTIONS ALTERNATIVES...

Each alternative is a set of options (in one word) whose run is compared with the first one's; "BUILD:COMMAND" runs another build.
"""
import subprocess
import sys

from guest import check, installer

calque, count, *alternatives = sys.argv[1:]


def state(options):
    command = [calque]
    if options.startswith("BUILD:"):
        command, options = options[6:].split(), ""
    command += ["--memory", "256M", *installer("amd64"), "--append", "console=ttyS0 rdinit=/bin/sh", "--serial", "none", "--display", "none",
                "--clock", "fixed", "--stop-at", count, "--state-hash", *options.split()]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check(run.returncode == 0, " ".join(command), run.stdout[-2000:] + run.stderr[-2000:])
    return run.stdout.strip().splitlines()[-1]


first = state("")
print(f"{'(as it comes)':40} {first}")
for options in ["", *alternatives]:
    now = state(options)
    print(f"{options or '(once more)':40} {now}")
    check(now == first, f"the run with {options!r} ends in the same state")
