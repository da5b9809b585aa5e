#!/usr/bin/env python3
"""The same run prints the same state hash, whatever executes it.   same_state.py CALQUE INSTRUCTIONS [OTHER COMMAND]

Compares two more runs of the JIT, the interpreter, and each switch of --jit-disable; or, when the command of another build is
given, that build's run.
"""
import re
import subprocess
import sys

from guest import check, installer

calque, count, *other = sys.argv[1:]


def state(command, options):
    command = [*command, "--memory", "256M", *installer("amd64"), "--append", "console=ttyS0 rdinit=/bin/sh", "--serial", "none",
               "--display", "none", "--clock", "fixed", "--stop-at", count, "--state-hash", *options]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check(run.returncode == 0, " ".join(command), run.stdout[-2000:] + run.stderr[-2000:])
    return (run.stdout + run.stderr).strip().splitlines()[-1]


def switches():
    """What --jit-disable knows, from the message for a name it does not know."""
    run = subprocess.run([calque, "--jit-disable", "?", "--display", "none"], capture_output=True, text=True)
    names = re.search(r"knows (.*)", run.stderr)
    check(names, "--jit-disable lists its switches", run.stderr)
    return names[1].split(", ")


first = state([calque], [])
print(f"{'(jit)':40} {first}")
runs = [([calque], []), ([calque], []), ([calque], ["--engine", "interp"]), *(([calque], ["--jit-disable", s]) for s in switches())]
for command, options in [(o.split(), []) for o in other] or runs:
    now = state(command, options)
    print(f"{' '.join(options) or command[-1]:40} {now}")
    check(now == first, f"{' '.join([*command, *options])} ends in the same state")
