#!/usr/bin/env python3
"""The program as its user meets it: exit statuses, sentences, ports.   cli_test.py CALQUE GUESTS-FOLDER"""
import glob
import json
import os
import pty
import re
import socket
import subprocess
import sys
import tempfile
import time

calque, guests = sys.argv[1:3]
folder = tempfile.TemporaryDirectory()
failures = 0


def path(name, content=None):
    full = os.path.join(folder.name, name)
    if content is not None:
        with open(full, "wb") as f:
            f.write(content)
    return full


rom = bytearray(512)
rom[0:3] = b"\x55\xaa\x01"
rom[511] = -sum(rom) & 0xff
vga = path("vga.bin", bytes(rom))
hal = path("hal", b"HAL")   # a file, which is there before the machine starts; a pipe may be late


def check(what, condition, *context):
    global failures
    if not condition:
        failures += 1
        print("FAILED:", what, *context)


def run(*arguments, guest=None, timeout=60, stdin=subprocess.DEVNULL):
    command = [calque, "--display", "none"]
    if guest:
        command += ["--bios", f"{guests}/{guest}.bin", "--vgabios", vga, "--memory", "16M", "--device", "isa-debug-exit"]
    return subprocess.run(command + list(arguments), capture_output=True, timeout=timeout, stdin=stdin)


def refuses(*arguments, names):
    """Status 1, one sentence on standard error that names the culprit, nothing on standard output."""
    r = run("--serial", "none", *arguments)
    lines = r.stderr.decode().splitlines()
    good = r.returncode == 1 and len(lines) == 1 and names in lines[0] and lines[0].startswith("calque: ") and not r.stdout
    check("refuses " + " ".join(arguments), good, r.returncode, r.stderr, r.stdout)


# ---- bad input
empty, short, disk = path("empty", b""), path("short.bin", bytes(100000)), path("disk.img", bytes(1 << 20))
missing = path("missing")
for option in ("--kernel", "--disk", "--cdrom", "--floppy", "--bios", "--vgabios"):
    refuses(option, missing, names=missing)
    refuses(option, folder.name, names=folder.name)
    if option not in ("--kernel",):
        refuses(option, empty, names=empty)
refuses("--bios", short, names="short.bin")
refuses("--kernel", short, names="short.bin")
refuses("--colour", "red", names="colour")
refuses("--cpu", "z80", names="z80")
refuses("--memory", "0", names="--memory")
refuses("--memory", "800000G", names="host")
refuses("--memory", "much", names="much")
refuses("--jit-disable", "gravity", names="gravity")
refuses("--log", "nothing:debug", names="nothing")
refuses("--append", "quiet", names="--kernel")
if os.getuid() != 0:
    os.chmod(disk, 0o444)
    refuses("--disk", disk, names="read-only")
keep = path("keep.txt", b"precious")
refuses("--serial", "file:" + keep, "--kernel", missing, names=missing)
check("a refused run damages no file", open(keep, "rb").read() == b"precious")
refuses("--serial", "file:" + path("new.txt"), "--disk", missing, names=missing)
check("a refused run creates no file", not os.path.exists(path("new.txt")))

# ---- ends of a run
log = path("console.txt")
r = run("--debugcon", log, guest="exit")
check("isa-debug-exit gives (v << 1) | 1", r.returncode == 0x21 << 1 | 1, r.returncode, r.stderr)
check("the debug console reaches its file", open(log, "rb").read() == b"hello")
r = run(guest="halt")
check("a machine that halts for good says so", r.returncode == 1 and b"halted" in r.stderr and r.stderr.count(b"\n") == 1, r.stderr)
r = run("--no-reboot", guest="triple")
check("a triple fault says so", r.returncode == 1 and b"triple fault" in r.stderr and r.stderr.count(b"\n") == 1, r.stderr)
r = run(guest="off")
check("power off is success", r.returncode == 0 and not r.stderr, r.returncode, r.stderr)
r = run("--no-reboot", guest="reboot")
check("--no-reboot ends at a reset", r.returncode == 0, r.returncode, r.stderr)

# ---- exactness
lines = set()
for arguments in (["--engine", "jit"], ["--engine", "jit", "--warm", "0"], ["--engine", "interp"]):
    r = run("--stop-at", "200000", "--state-hash", *arguments, guest="busy")
    check("--stop-at is success", r.returncode == 0, r.stderr)
    lines.add(r.stdout)
check("runs repeat on every engine", len(lines) == 1 and b"instructions 200000 hash " in next(iter(lines)), lines)
picture = path("screen.png")
r = run("--stop-at", "1000", "--screenshot", picture, guest="busy")
check("a screenshot is a PNG", r.returncode == 0 and open(picture, "rb").read(8) == b"\x89PNG\r\n\x1a\n", r.stderr)
r = run("--stop-at", "1000", "--screenshot", folder.name + "/no/such/folder.png", guest="busy")
check("a screenshot that cannot be written is an error", r.returncode == 1 and b"folder.png" in r.stderr, r.stderr)
config = path("config", f"bios = {guests}/exit.bin\nvgabios = {vga}\nmemory = 16M\ndevice = isa-debug-exit\n".encode())
r = run("--config", config)
check("a config file is enough", r.returncode == 0x43, r.returncode, r.stderr)

# ---- snapshots
snap = path("a.snap")
end = ("--stop-at", "300000", "--state-hash")
straight = run(*end, guest="busy").stdout
r = run("--stop-at", "200000", "--save", snap, guest="busy")
check("--save is success", r.returncode == 0 and not r.stderr, r.returncode, r.stderr)
for engine in ("jit", "interp"):
    r = run("--load", snap, *end, "--engine", engine)
    check("a loaded machine goes on as the saved one", r.returncode == 0 and r.stdout == straight, engine, r.stdout, r.stderr, straight)
r = run("--save", snap, "--save-at", "150000", *end, guest="busy")
check("--save-at does not disturb the run", r.returncode == 0 and r.stdout == straight, r.stdout, r.stderr, straight)
r = run("--load", snap, "--stop-at", "150000", "--state-hash")
check("--save-at saves at its instruction", r.stdout.startswith(b"instructions 150000 "), r.stdout, r.stderr)
r = run("--load", snap, *end, "--serial", "none")
check("a loaded machine's ports can lead elsewhere", r.stdout == straight, r.stdout, r.stderr)
r = run("--save", path("b.snap"), "--save-at", "400000", *end, guest="busy")
check("a run that ends before --save-at says so", r.returncode == 1 and b"--save-at" in r.stderr and not os.path.exists(path("b.snap")), r.stderr)
r = run("--save", folder.name + "/no/such/folder.snap", *end, guest="busy")
check("a snapshot that cannot be written is an error", r.returncode == 1 and b"folder.snap" in r.stderr, r.stderr)
refuses("--load", missing, names=missing)
refuses("--load", disk, names="no snapshot")
refuses("--load", snap, "--memory", "1G", names="--memory")
refuses("--load", snap, "--disk", disk, names="0 disks")
refuses("--load", snap, "--serial", "none", "--serial", "none", names="1 serial")
refuses("--save-at", "5", names="--save")
refuses("--save-every", "5", names="--save")
refuses("--save", snap, "--save-every", "0", names="not 0")
refuses("--save", snap, "--save-every", "5", "--save-at", "5", names="--save-at")
refuses("--save", snap, "--save-every", "5", names="not a folder")
refuses("--embed-images", names="--record")
whole = open(snap, "rb").read()
refuses("--load", path("half.snap", whole[:len(whole) // 2]), names="damaged")
for delay in range(12):  # whenever the process dies, the name stands for a whole file
    victim = subprocess.Popen([calque, "--display", "none", "--serial", "none", "--load", snap, "--stop-at", "151000", "--save", snap],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay / 300)
    victim.kill()
    victim.wait()
    r = run("--load", snap, *end)
    check("an interrupted save leaves a whole file", r.stdout == straight, delay, r.stdout, r.stderr)

# ---- record and replay
rec = path("a.rec")
echo = [calque, "--display", "none", "--bios", f"{guests}/echo.bin", "--vgabios", vga, "--memory", "16M"]


def replay(*arguments):
    return subprocess.run([calque, "replay", *arguments, "--display", "none"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


for clock in ("fixed", "host"):
    r = subprocess.run([*echo, "--serial", "stdio", "--clock", clock, "--stop-at", "3000000", "--state-hash", "--record", rec], stdin=open(hal),
                       capture_output=True, timeout=60)
    check("--record is success", r.returncode == 0 and r.stdout.startswith(b"IBM"), r.returncode, r.stdout, r.stderr)
    for engine in ("jit", "interp"):
        again = replay(rec, "--state-hash", "--engine", engine)
        check("a replay says and ends the same", again.returncode == 0 and again.stdout == r.stdout and not again.stderr, clock, engine, again.stdout,
              again.stderr, r.stdout)
    again = replay(rec, "--until", "1234567", "--state-hash", "--serial", "none")
    check("--until ends a replay", again.returncode == 0 and again.stdout.startswith(b"instructions 1234567 "), again.stdout, again.stderr)
middle = path("middle.snap")
hashes_in = lambda text: re.findall(rb"instructions (\d+) hash ([0-9a-f]{16})\n", text)   # the guest's characters come between
r = replay(rec, "--save", middle, "--save-at", "1234567", "--state-hash-at", "2000000,1234567", "--state-hash")
hashes = hashes_in(r.stdout)
check("--state-hash-at prints on the way", [h[0] for h in hashes] == [b"1234567", b"2000000", b"3000000"] and hashes_in(again.stdout) == hashes[:1],
      r.stdout, again.stdout, r.stderr)
for engine in ("jit", "interp"):
    r = replay(rec, "--load", middle, "--state-hash-at", "1234567,2000000", "--state-hash", "--engine", engine)
    check("a replay begins at a snapshot of its middle", r.returncode == 0 and hashes_in(r.stdout) == hashes, r.stdout, r.stderr, hashes)
r = replay(rec, "--state-hash-at", "4000000")
check("a recording that ends before --state-hash-at says so", r.returncode == 1 and b"--state-hash-at" in r.stderr, r.stderr)
lent, sent = path("lent.img", bytes(1 << 20)), path("sent.rec")   # a recording for somebody who does not have the image
r = run("--disk", lent, "--serial", "none", "--clock", "host", "--stop-at", "3000000", "--state-hash", "--record", sent, "--embed-images", guest="disk")
os.remove(lent)
again = replay(sent, "--state-hash", "--serial", "none")
check("a recording with its images needs no others", r.returncode == again.returncode == 0 and r.stdout == again.stdout, r.stdout, again.stdout, again.stderr)
os.remove(rec)
victim = subprocess.Popen([*echo, "--serial", "none", "--clock", "host", "--record", rec])
deadline = time.monotonic() + 30
while (not os.path.exists(rec) or os.path.getsize(rec) < 2000) and time.monotonic() < deadline:
    time.sleep(0.05)
size = os.path.getsize(rec)
while os.path.getsize(rec) == size and time.monotonic() < deadline:  # a second is complete
    time.sleep(0.05)
victim.kill()
victim.wait()
r = replay(rec, "--serial", "none")
check("a recording that breaks off replays to its last complete second", r.returncode == 0 and b"breaks off" in r.stderr, r.returncode, r.stderr)
recorded = open(rec, "rb").read()
refuses_replay = lambda *arguments, names: check("replay refuses", (r := replay(*arguments)).returncode == 1 and names in r.stderr and not r.stdout and
                                                 r.stderr.count(b"\n") == 1, arguments, r.stderr)
refuses_replay(missing, names=missing.encode())
refuses_replay(snap, names=b"no recording")
refuses_replay(rec, "--load", middle, names=b"middle.snap")
refuses_replay(rec, "--memory", "1G", names=b"--memory")
refuses_replay(rec, "--clock", "host", names=b"--clock")
refuses_replay(path("bad.rec", recorded[:300] + bytes([recorded[300] ^ 1]) + recorded[301:]), names=b"damaged")
refuses("--until", "5", names="--until")
refuses("--record", folder.name + "/no/such/folder.rec", "--bios", f"{guests}/busy.bin", "--vgabios", vga, names="folder.rec")

# ---- traces
trace = path("a.trace")


def print_trace(*arguments):
    return subprocess.run([calque, "trace", *arguments], capture_output=True, timeout=60)


subprocess.run([*echo, "--serial", "stdio", "--clock", "host", "--stop-at", "3000000", "--record", path("whole.rec")], stdin=open(hal), capture_output=True, timeout=60)
whole = replay(path("whole.rec"), "--serial", "none", "--state-hash")
for words in ("count=100-200", "interrupts,ports"):
    r = replay(path("whole.rec"), "--serial", "none", "--state-hash", "--trace", f"{trace},{words}")
    check("a traced replay ends the same", r.returncode == 0 and r.stdout == whole.stdout, words, r.stdout, r.stderr, whole.stdout)
lines = print_trace(trace, "count=0-100000").stdout.decode().splitlines()
check("calque trace prints port accesses", any("    in    port 03fd  " in line for line in lines), lines[:5])
objects = [json.loads(line) for line in print_trace(trace, "ports", "count=0-100000", "--json").stdout.splitlines()]
check("calque trace --json prints the same", len(objects) > 100 and all(o["kind"] in ("in", "out") for o in objects), objects[:1])
victim = subprocess.Popen([*echo, "--serial", "none", "--clock", "host", "--trace", trace])
deadline = time.monotonic() + 30
while (not os.path.exists(trace) or os.path.getsize(trace) < 50000) and time.monotonic() < deadline:
    time.sleep(0.02)
victim.kill()
victim.wait()
r = print_trace(trace, "count=0-1000")
check("a trace that breaks off is printed, and says so", r.returncode == 0 and b"\n        1000  " in r.stdout and b"breaks off" in r.stderr, r.stderr)
for bad in (snap, missing, empty, folder.name):
    r = print_trace(bad)
    check("calque trace refuses", r.returncode == 1 and bad.encode() in r.stderr and r.stderr.count(b"\n") == 1 and not r.stdout, bad, r.stderr)
for words in (("ring=x",), ("--nonsense",), ()):
    r = print_trace(*((trace,) if words else ()), *words)
    check("calque trace refuses words", r.returncode == 1 and r.stderr.count(b"\n") == 1 and not r.stdout, words, r.stderr)
quick = ("--bios", f"{guests}/busy.bin", "--vgabios", vga)
refuses("--trace", folder.name + "/no/such/folder", *quick, names="such")
refuses("--trace", "/dev/full", *quick, names="/dev/full")
refuses("--trace", trace + ",colour=red", names="colour")
refuses("--trace", trace, "--gdb", ":1", names="--gdb")

# ---- coverage and profiles
covered, profiled, names = path("a.drcov"), path("profile.txt"), path("System.map", b"00000000000f0000 T start\n00000000000f0016 t loop\n")
profile = f"{profiled},every=1009,symbols={names}"
plain = run("--serial", "none", "--stop-at", "300000", "--state-hash", guest="busy")
reports, maps = set(), set(glob.glob("/tmp/perf-*.map"))
for engine in ("jit", "interp"):
    r = run("--serial", "none", "--stop-at", "300000", "--state-hash", "--engine", engine, "--coverage", f"{covered},module=bios:0xf0000-0xfffff",
            "--profile", profile, "--trace", f"{trace},count=100000-100100", guest="busy")
    check("coverage, profile and trace together change nothing", r.returncode == 0 and r.stdout == plain.stdout and not r.stderr, engine, r.stdout, r.stderr)
    reports.add(open(profiled).read())
    head = open(covered, "rb").read().split(b"\n")
    check("--coverage writes drcov", head[0] == b"DRCOV VERSION: 2" and b"  0, 0x00000000000f0000, 0x0000000000100000, 0x0000000000000000, bios" in head, head[:6])
    check("a trace beside them has its instructions", print_trace(trace, "instructions").stdout.count(b"\n") == 102)
check("--profile says the same on each executor", len(reports) == 1 and "ring 0  loop\n" in list(reports)[0], reports)
r = run("--serial", "none", "--stop-at", "300000", "--profile", "-,every=1009,lines=1", guest="busy")
check("--profile - prints", r.stdout.startswith(b"instructions 0 to 300000, ") and r.stdout.count(b"\n") == 2, r.stdout)
for option, value, name in (("--coverage", folder.name + "/no/such", "such"), ("--coverage", covered + ",module=x", "'x'"), ("--coverage", ",x", "file"),
                            ("--coverage", covered + ",module=x:0-0x100000000", "4 GiB"), ("--profile", folder.name + "/no/such", "such"),
                            ("--profile", profiled + ",symbols=" + missing, missing), ("--profile", profiled + ",symbols=" + empty, empty),
                            ("--profile", profiled + ",every=0", "every=0"), ("--profile", profiled + ",colour", "colour")):
    refuses(option, value, *quick, names=name)
for file in set(glob.glob("/tmp/perf-*.map")) - maps:
    os.remove(file)

# ---- serial ports
both = subprocess.run([calque, "--display", "none", "--bios", f"{guests}/last.bin", "--vgabios", vga, "--memory", "16M", "--serial", "stdio",
                       "--no-reboot"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60).stdout
check("what the guest has sent comes before a message of ours", both.replace(b"\0", b"").startswith(b"last words\ncalque: the guest has restarted"), both)
r = subprocess.run([calque, "--display", "none", "--bios", f"{guests}/echo.bin", "--vgabios", vga, "--memory", "16M",
                    "--serial", "stdio", "--stop-at", "3000000"], stdin=open(hal), capture_output=True, timeout=60)
check("standard input reaches the guest, and its answer comes back", r.stdout == b"IBM", r.stdout, r.stderr)


def start(*arguments, **more):
    return subprocess.Popen([calque, "--display", "none", "--bios", f"{guests}/echo.bin", "--vgabios", vga, "--memory", "16M", *arguments], **more)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


port = free_port()
p = start("--serial", f"tcp:127.0.0.1:{port}")
try:
    for _ in range(200):
        try:
            client = socket.create_connection(("127.0.0.1", port), 5)
            break
        except OSError:
            time.sleep(0.05)
    client.settimeout(30)
    client.sendall(b"HAL")
    got = b""
    while len(got) < 3:
        got += client.recv(16)
    check("a TCP client talks to the guest", got == b"IBM", got)
finally:
    p.terminate()
    check("SIGTERM ends the run", p.wait(30) == 128 + 15)

master, slave = pty.openpty()
p = start("--serial", "stdio", stdin=slave, stdout=slave, stderr=slave)
os.close(slave)
try:
    time.sleep(0.5)
    os.write(master, b"G\x03")       # Ctrl-C belongs to the guest
    got, deadline = b"", time.time() + 30
    while got.count(b"\x04") == 0 and time.time() < deadline:
        got += os.read(master, 64)
    check("a terminal is raw", b"H" in got and b"\x04" in got, got)
    os.write(master, b"\x01x")
    check("Ctrl-A x quits", p.wait(30) == 0)
finally:
    if p.poll() is None:
        p.kill()

print("all well" if failures == 0 else f"{failures} failures")
sys.exit(failures != 0)
