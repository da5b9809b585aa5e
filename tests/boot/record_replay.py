#!/usr/bin/env python3
"""Records a boot of Debian's installer with commands typed into its shell, replays it, and takes snapshots on the way.   record_replay.py CALQUE

The recording is made under the host's clock. Replays end in the same state; the beginning also on the interpreter. Snapshots taken at
random instructions go on as the run that they were taken from.
"""
import os
import random
import re
import signal
import subprocess
import sys
import tempfile

from guest import PROMPT, Guest, check, installer

calque = sys.argv[1]
folder = tempfile.TemporaryDirectory()
recording, snapshot = os.path.join(folder.name, "a.rec"), os.path.join(folder.name, "a.snap")
machine = ["--memory", "512M", *installer("amd64"), "--append", "console=ttyS0 quiet rdinit=/bin/sh"]
quiet = ["--display", "none", "--serial", "none", "--state-hash"]


def state(*arguments):
    r = subprocess.run([calque, *arguments, *quiet], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check(r.returncode == 0, " ".join(arguments), r.stdout[-2000:] + r.stderr[-2000:])
    return re.findall(r"instructions \d+ hash [0-9a-f]{16}", r.stdout)


guest = Guest([calque, *machine, "--serial", "stdio", "--display", "none", "--clock", "host", "--record", recording, "--state-hash"], limit=600)
guest.expect(PROMPT)
check("initrd" in guest.run("ls -d /initrd* /bin; echo initrd"), "the shell answers", guest.text)
guest.run("cat /proc/interrupts | head -5")
guest.process.send_signal(signal.SIGINT)
guest.expect(r"instructions (\d+) hash [0-9a-f]{16}\r?\n")
end = re.search(r"instructions (\d+) hash [0-9a-f]{16}", guest.text)
guest.wait()
print(f"recorded: {end[0]}, {os.path.getsize(recording)} bytes")
for _ in range(2):
    check(state("replay", recording) == [end[0]], "a replay ends as the recording")
check(state("replay", recording, "--until", "250000000") == state("replay", recording, "--until", "250000000", "--engine", "interp"),
      "both executors replay alike")

dice = random.Random(int(end[1]))
for _ in range(8):
    at = dice.randrange(1, 1_500_000_000)
    both = ("--clock", "fixed", "--state-hash-at", str(at), "--stop-at", str(at + 10_000_000))
    straight = state(*machine, *both, "--save", snapshot, "--save-at", str(at))
    check(len(straight) == 2, "a hash at the snapshot and one behind it", straight)
    for engine in ("jit", "interp"):
        check(state("--load", snapshot, *both, "--engine", engine) == straight, f"a snapshot at {at} goes on as the run ({engine})")
print("all well")
