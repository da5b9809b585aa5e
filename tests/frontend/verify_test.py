#!/usr/bin/env python3
"""calque verify and calque bisect as their user meets them.   verify_test.py CALQUE GUESTS-FOLDER"""
import json
import os
import subprocess
import sys
import tempfile

calque, guests = (os.path.abspath(a) for a in sys.argv[1:3])
folder = tempfile.TemporaryDirectory()
failures = 0


def path(name):
    return os.path.join(folder.name, name)


rom = bytearray(512)
rom[0:3] = b"\x55\xaa\x01"
rom[511] = -sum(rom) & 0xff
with open(path("vga.bin"), "wb") as f:
    f.write(rom)


def machine(guest):
    return ["--bios", f"{guests}/{guest}.bin", "--vgabios", path("vga.bin"), "--memory", "16M"]


def run(*arguments, **more):
    return subprocess.run([calque, *arguments], capture_output=True, text=True, timeout=120, cwd=folder.name, **more)


def check(what, condition, *context):
    global failures
    if not condition:
        failures += 1
        print("FAILED:", what, *context)


def refuses(*arguments, names):
    r = run(*arguments)
    good = r.returncode == 2 and r.stderr.count("\n") == 1 and r.stderr.startswith("calque: ") and names in r.stderr and not r.stdout
    check("refuses " + " ".join(arguments), good, r.returncode, r.stderr, r.stdout)


# ---- verify
r = run("verify", *machine("ticks"), "--stop-at", "2000000", "--step", "500000")
check("executors that agree are status 0", r.returncode == 0 and "the same up to instruction 2000000" in r.stdout, r.returncode, r.stdout, r.stderr)
# The guest clears an accessed bit and relies on its TLB: an executor without one is not the same, and shows what a difference looks like.
r = run("verify", *machine("stale"), "--a", "interp", "--b", "interp,tlb", "--stop-at", "2000000", "--case", "tlb.json")
check("a difference is status 1", r.returncode == 1 and "They differ after instruction" in r.stdout and "phys 0x3020" in r.stdout, r.returncode, r.stdout, r.stderr)
check("it names the instruction", "mov al," in r.stdout, r.stdout)
exec_ = run("exec", "--engine", "interp", "tlb.json")
check("the reproducer fails by itself", exec_.returncode == 1 and "1 differ" in exec_.stdout, exec_.returncode, exec_.stdout, exec_.stderr)
with open(path("tlb.json")) as f:
    check("the reproducer is small", json.load(f)["steps"] < 20 and os.path.getsize(path("tlb.json")) < 4000, os.path.getsize(path("tlb.json")))
r = run(*machine("stale"), "--display", "none", "--serial", "none", "--clock", "fixed", "--stop-at", "5", "--save", "five.snap")
r = run("verify", "--load", "five.snap", "--a", "interp", "--b", "interp,tlb", "--stop-at", "2000000", "--case", "again.json")
check("verify goes on from a snapshot", r.returncode == 1 and "phys 0x3020" in r.stdout, r.returncode, r.stdout, r.stderr)

# ---- recordings
for name, text in (("a", b"HAL"), ("b", b"HAM")):
    r = subprocess.run([calque, *machine("echo"), "--display", "none", "--serial", "stdio", "--clock", "fixed", "--stop-at", "3000000", "--record", path(name + ".rec")],
                       input=text, capture_output=True, timeout=60)
    check("a recording is made", r.returncode == 0, r.stderr)
r = run("verify", "a.rec", "--step", "500000")
check("verify replays a recording", r.returncode == 0 and "the recording is at its end" in r.stdout, r.returncode, r.stdout, r.stderr)
r = run("bisect", "a.rec", "a.rec")
check("a recording is the same as itself", r.returncode == 0 and "the same" in r.stdout, r.returncode, r.stdout, r.stderr)
r = run("bisect", "a.rec", "b.rec", "--step", "500000")
check("recordings of other input differ", r.returncode == 1 and "in section" in r.stdout and "They differ after instruction" in r.stdout, r.returncode, r.stdout, r.stderr)

# ---- folders of snapshots
def stream(name, guest, every, until, *more, **how):
    r = run(*machine(guest), "--display", "none", "--clock", "fixed", "--stop-at", str(until), "--save", name, "--save-every", str(every), *more, **how)
    check("a stream of snapshots is made", r.returncode == 0 and len(os.listdir(path(name))) == until // every, r.stderr)


stream("jit", "busy", 500000, 2000000, "--serial", "none")
stream("interp", "busy", 500000, 2000000, "--serial", "none", "--engine", "interp")
r = run("bisect", "jit", "interp")
check("streams of both executors are the same", r.returncode == 0 and "same from instruction 500000 to 2000000" in r.stdout, r.returncode, r.stdout, r.stderr)
stream("tlb", "stale", 500, 5000, "--serial", "none", "--engine", "interp")
stream("none", "stale", 500, 5000, "--serial", "none", "--engine", "interp", "--jit-disable", "tlb")
r = run("bisect", "tlb", "none", "--engine", "interp", "--case", "stream.json")
check("streams differ", r.returncode == 1 and "interp comes to what the first has" in r.stdout and "interp,tlb,code_tracking comes to what the second has" in r.stdout, r.returncode, r.stdout, r.stderr)
check("and the instruction is found", "mov al," in r.stdout and run("exec", "--engine", "interp", "stream.json").returncode == 1, r.stdout)
stream("HAL", "echo", 1000000, 3000000, "--serial", "stdio", input="HAL")
stream("HAM", "echo", 1000000, 3000000, "--serial", "stdio", input="HAM")
r = run("bisect", "HAL", "HAM")
check("input is no fault of an executor", r.returncode in (1, 2) and ("from outside" in r.stdout or "differ already" in r.stderr), r.returncode, r.stdout, r.stderr)
refuses("bisect", "jit", "HAL", names="already")
os.mkdir(path("empty"))
refuses("bisect", "jit", "empty", names="--save-every")
refuses("bisect", "jit", "interp", "--engine", "fast", names="'fast'")
os.rename(path("jit/000000001500000.snap"), path("jit/000000002000000.snap"))
refuses("bisect", "jit", "interp", names="not of the one in its name")

# ---- wrong usage
refuses("verify", "--a", "fast", names="'fast'")
refuses("verify", "--b", "interp,gravity", *machine("busy"), names="gravity")
refuses("verify", "--a", names="--a")
refuses("verify", "--step", "none", names="'none'")
refuses("verify", "missing.rec", names="missing.rec")
refuses("verify", "--load", "missing.snap", names="missing.snap")
refuses("verify", "five.snap", names="five.snap")
refuses("verify", *machine("busy"), "--clock", "host", names="clock")
refuses("verify", *machine("busy"), "--record", "x.rec", names="--record")
refuses("verify", "--gravity", names="gravity")
refuses("bisect", names="two recordings")
refuses("bisect", "a.rec", names="two recordings")
refuses("bisect", "a.rec", "missing.rec", names="missing.rec")
r = run("verify", "--help")
check("verify --help", r.returncode == 0 and "--case" in r.stdout, r.stdout)
r = run("bisect", "--help")
check("bisect --help", r.returncode == 0 and "recordings" in r.stdout, r.stdout)

sys.exit(1 if failures else 0)
