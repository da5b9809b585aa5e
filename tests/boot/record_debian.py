#!/usr/bin/env python3
"""Records a Debian 12 on a disk under the wall clock, from power on to power off, and holds the recording and snapshots of its middle to what
docs/record-replay.md and docs/snapshots.md promise. Run by hand; it takes hours with all of its numbers.

    record_debian.py CALQUE IMAGE FOLDER [options]       IMAGE comes from tools/make-debian-disk and is not changed

FOLDER keeps debian.rec, the recording, which is made when it is not there, and what else is needed on the way.
"""
import argparse
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from guest import Guest, check, log_in

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("calque"), parser.add_argument("image"), parser.add_argument("folder")
parser.add_argument("--replays", type=int, default=20, help="while stress-ng loads the host")
parser.add_argument("--interp", type=int, default=10, help="how many of them on the interpreter; the others on the JIT")
parser.add_argument("--at-once", type=int, default=1, help="how many replays run at a time")
parser.add_argument("--other", help="command of a build for another host, which replays the first 50 million instructions")
parser.add_argument("--counts", type=int, default=200, help="random instruction counts at which a snapshot is taken, loaded, and goes on")
parser.add_argument("--kills", type=int, default=50, help="of a process that records, and as many of one that saves")
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
calque = args.calque
os.makedirs(args.folder, exist_ok=True)
file = lambda name: os.path.join(args.folder, name)
recording = file("debian.rec")
QUIET = ["--display", "none", "--serial", "none"]
HASH = r"instructions (\d+) hash ([0-9a-f]{16})"
FURTHER = 10_000_000
dice = random.Random(args.seed)


def run(*command):
    """Its standard output and error, together."""
    r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(r.returncode == 0, " ".join(command)[:300], r.stdout[-2000:])
    return r.stdout


def hashes(text):
    return {int(count): value for count, value in re.findall(HASH, text)}


def replay(*arguments, command=calque):
    return run(*command.split(), "replay", recording, *arguments, *QUIET)


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


def record():
    guest = Guest([calque, "--memory", "512M", "--disk", args.image, "--serial", "stdio", "--display", "none", "--clock", "host", "--record", recording,
                   "--state-hash"], limit=900)
    prompt = log_in(guest)
    for line in ("uname -a; cat /proc/interrupts | head -4", "seq 1 20000 | sort -r | md5sum", "python3 -c 'print(sum(range(10**5)))'",
                 "seq 1 50000 > /root/numbers; sync; md5sum /root/numbers"):
        guest.run(line, prompt)
    check("4999950000" in guest.text, "python adds", guest.text[-2000:])
    time.sleep(3)   # idle time belongs to it
    guest.send("poweroff")
    check(guest.wait() == 0, "poweroff ends the recording with status 0", guest.text[-500:])
    guest.expect(HASH)
    with open(file("debian.hash"), "w") as f:
        f.write(re.search(HASH, guest.text)[0])


def replays(end, places):
    """Whatever else the host does, and on either executor."""
    def once(n):
        engine = "interp" if (n + 1) * args.interp // args.replays > n * args.interp // args.replays else "jit"
        start = time.monotonic()
        text = replay("--engine", engine, "--state-hash-at", places, "--state-hash", "--stats")
        check(hashes(text) == end, f"replay {n + 1} ends as the recording", text)
        checks = re.search(r"checks of the recording +(\d+)", text)[1]
        say(f"replay {n + 1} on {engine}: equal in {len(end)} places, {checks} checks; {time.monotonic() - start:.0f} s")

    load = [subprocess.Popen(["stress-ng", "--cpu", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        with ThreadPoolExecutor(args.at_once) as pool:
            for result in [pool.submit(once, n) for n in range(args.replays)]:
                result.result()
    finally:
        for process in load:
            process.terminate()
            process.wait()


def on_another_host(command):
    first = ("--until", "50000000", "--state-hash")
    check(hashes(replay(*first)) == hashes(replay(*first, command=command)), "another host replays the first 50 million instructions alike")
    say("the other build replays the first 50 million instructions alike")


def snapshots(last):
    """One walks through the recording in pieces, each from the snapshot that the piece before has left; the hashes are those of a replay in one
    piece that has taken none."""
    counts = sorted(dice.randrange(1, last - FURTHER) for _ in range(args.counts))
    whole = hashes(replay("--state-hash-at", ",".join(str(c) for at in counts for c in (at, at + FURTHER))))
    say(f"{len(whole)} hashes of the recording")
    names = file("a.snap"), file("b.snap")
    replay("--save", names[0], "--save-at", str(counts[0]), "--until", str(counts[0]))
    for n, at in enumerate(counts):
        last_one = n + 1 == len(counts)
        save = () if last_one else ("--save", names[(n + 1) % 2], "--save-at", str(counts[n + 1]))
        until = max(at + FURTHER, 0 if last_one else counts[n + 1])
        text = replay("--load", names[n % 2], "--engine", "interp" if n % 10 == 9 else "jit", "--state-hash-at", f"{at},{at + FURTHER}", "--until", str(until), *save)
        check(hashes(text) == {c: whole[c] for c in (at, at + FURTHER)}, f"a snapshot at {at} goes on as the recording", text)
        if n % 20 == 19:
            say(f"{n + 1} snapshots go on as the recording")
    say(f"{len(counts)} snapshots go on as the recording")


# ---- processes that are killed
def whole_sections(path, name):
    """How many sections of the name the file has completely."""
    count = 0
    with open(path, "rb") as f:
        size = os.fstat(f.fileno()).st_size
        at = 16
        while at + 48 <= size:
            f.seek(at)
            header = f.read(48)
            at += 48 + struct.unpack_from("<Q", header, 32)[0]
            count += at <= size and header[:12].rstrip(b"\0") == name
    return count


def kill(command, seconds):
    """False: it has ended before."""
    victim = subprocess.Popen([*command, *QUIET], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    victim.send_signal(signal.SIGKILL)
    return victim.wait() == -signal.SIGKILL


def kills_while_recording(snapshot):
    """The recording has a new snapshot, or what had the name before is there unchanged."""
    folder = file("kills")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    victim = os.path.join(folder, "a.rec")
    old = b"what was there before"
    record = [calque, "--load", snapshot, "--clock", "host", "--record", victim]
    start = time.monotonic()
    run(*record, "--stop-at", "0", *QUIET)
    beginning = time.monotonic() - start
    kept = seconds = 0
    for _ in range(args.kills):
        with open(victim, "wb") as f:
            f.write(old)
        check(kill(record, dice.uniform(0, beginning) if dice.random() < 0.3 else beginning + dice.uniform(0, 5)), "it was killed")
        check(os.listdir(folder) == ["a.rec"], "nothing else is left", os.listdir(folder))
        if open(victim, "rb").read(len(old)) == old:
            kept += 1
            continue
        complete = whole_sections(victim, b"events")
        text = run(calque, "replay", victim, "--stats", *QUIET)
        check("breaks off" in text, "the recording says that it breaks off", text)
        check(int(re.search(r"checks of the recording +(\d+)", text)[1]) == complete, f"all {complete} complete pieces are replayed", text)
        seconds += complete
    say(f"{args.kills} processes killed that recorded: {kept} before the recording had begun; the others replay all of {seconds} complete pieces")


def kills_while_saving(old):
    """The name stands for the old snapshot or the new one."""
    folder = file("kills")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    name = os.path.join(folder, "a.snap")
    state = lambda path: hashes(run(calque, "--load", path, "--stop-at", "0", "--state-hash", *QUIET))
    before = state(old)
    save = [calque, "--load", old, "--clock", "fixed", "--stop-at", str(max(before) + 1_000_000), "--save", name]
    start = time.monotonic()
    new = hashes(run(*save, "--state-hash", *QUIET))
    duration = time.monotonic() - start
    check(state(name) == new != before, "both can be told apart")
    found = {"old": 0, "new": 0}
    for _ in range(args.kills):
        shutil.copy(old, name)
        kill(save, dice.uniform(0, duration))
        check(os.listdir(folder) in (["a.snap"], ["a.snap", "a.snap.calque-unfinished"], ["a.snap.calque-unfinished", "a.snap"]), "little else is left",
              os.listdir(folder))
        now = state(name)
        check(now in (before, new), "the name stands for a whole snapshot", now)
        found["new" if now == new else "old"] += 1
    say(f"{args.kills} processes killed that saved: {found['old']} times the old snapshot is there, {found['new']} times the new one")


if not os.path.exists(recording):
    record()
recorded = hashes(open(file("debian.hash")).read())
last = max(recorded)
say(f"the recording: {last} instructions, {os.path.getsize(recording)} bytes")
places = ",".join(str(last * n // 10) for n in range(1, 10))
if args.replays:
    first = hashes(replay("--state-hash-at", places, "--state-hash"))
    check(first[last] == recorded[last], "a replay ends as the recording", first)
    replays(first, places)
if args.other:
    on_another_host(args.other)
if args.counts:
    snapshots(last)
if args.kills:
    late = file("late.snap")
    if not os.path.exists(late):
        replay("--save", late, "--save-at", str(last * 3 // 4), "--until", str(last * 3 // 4))
    kills_while_recording(late)
    kills_while_saving(late)
print("all well")
