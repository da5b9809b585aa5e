#!/usr/bin/env python3
"""A real gdb goes backwards in a replay, and in a machine that nobody records.   gdb_reverse_test.py CALQUE GUESTS-FOLDER"""
import re
import shutil
import socket as sockets
import subprocess
import sys
import tempfile
import time

calque, guests = sys.argv[1:3]
if not shutil.which("gdb"):
    print("there is no gdb")
    sys.exit(77)
folder = tempfile.TemporaryDirectory()
rom = bytearray(512)
rom[0:3] = b"\x55\xaa\x01"
rom[511] = -sum(rom) & 0xff
vga, rec, socket, hal = (f"{folder.name}/{n}" for n in ("vga.bin", "a.rec", "gdb", "hal"))
open(vga, "wb").write(bytes(rom))
open(hal, "wb").write(b"HAL")   # there before the machine starts, which a pipe may not be
failures = 0


def check(what, condition, *context):
    global failures
    if not condition:
        failures += 1
        print("FAILED:", what, *context)


def machine(guest):
    return [calque, "--bios", f"{guests}/{guest}.bin", "--vgabios", vga, "--memory", "16M", "--display", "none", "--serial", "stdio", "--clock", "fixed"]


def record(guest, instructions, **more):
    r = subprocess.run([*machine(guest), "--stop-at", str(instructions), "--record", rec], capture_output=True, timeout=60, **more)
    check("recording", r.returncode == 0, r.stderr)
    return r.stdout


def serve(command):
    server = subprocess.Popen([*command, "--gdb", "unix:" + socket, "--wait"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(200):
        if subprocess.run(["test", "-S", socket]).returncode == 0:
            break
        subprocess.run(["sleep", "0.05"])
    return server


said = ""   # by the emulator, to its user


def debug(*commands, command=None):
    """What each command printed, and what the guest sent."""
    global said
    server = serve(command or [calque, "replay", rec, "--display", "none", "--serial", "stdio"])
    lines = ["set pagination off", "set confirm off", "set architecture i8086", f"target remote {socket}"]
    for c in commands:
        lines += ["echo <<<\\n", c, "echo >>>\\n"]
    script = folder.name + "/script"
    open(script, "w").write("\n".join([*lines, "kill", ""]))
    r = subprocess.run(["gdb", "-nx", "-batch", "-x", script], capture_output=True, text=True, timeout=100)
    out, said = server.communicate(timeout=60)
    said = said.decode()
    answers = re.findall(r"<<<\n(.*?)>>>\n", r.stdout, re.S)
    check("gdb has done all commands", len(answers) == len(commands), r.stdout, r.stderr)
    return [*answers, *[""] * (len(commands) - len(answers))], out


def number(text):
    m = re.search(r"= (0x[0-9a-f]+|\d+)", text)
    return int(m[1], 0) if m else None


# ---- arithmetic for ever: every instruction tells where one is
record("busy", 30_000_000)
state = ["p/x $eip", "p/x $eax", "p/x $edi"]


def values(text):
    """Of a watchpoint: what GDB says has been there, and what is."""
    return tuple(int(v) for v in re.findall(r"(?:Old|New) value = (-?\d+)", text))


a, _ = debug("watch *(int*)0x9000", "continue", *state, "stepi 7", "reverse-stepi 7", *state, "reverse-stepi", "stepi", *state,
             "continue", "reverse-continue", *state, "reverse-continue", "stepi", *state,
             "reverse-continue", "reverse-continue", "delete", "stepi 3", "reverse-continue", "continue", "reverse-stepi", *state, "stepi", "p/x $eip")
first, back, again, before, once_more = ([number(x) for x in a[n:n + 3]] for n in (2, 7, 12, 17, 22))
check("a watchpoint stops", "watchpoint" in a[1].lower(), a[1])
check("seven steps back undo seven steps", first == back, first, back)
check("a step undoes a step back", first == again, first, again)
check("backwards the next hit is undone", len(values(a[15])) == 2 and values(a[16]) == values(a[15])[::-1] and before != first, a[15], a[16], before)
check("and the one before it, which a step does again", values(a[20]) == values(a[1])[::-1] == values(a[21])[::-1] and once_more == first, a[20:25], first)
check("before the first write the history begins", "No more reverse-execution history" in a[26], a[25:27])
check("reverse-continue without stops goes to the beginning", "No more reverse-execution history" in a[29], a[29])
check("continue goes to the end of the recording", "No more reverse-execution history" in a[30], a[30])
check("a step back from the end can be undone", number(a[36]) is not None and number(a[32]) != number(a[36]), a[31:37])

a, _ = debug("watch *(int*)0x9000", "continue", "delete", "break *$eip", "continue", *state, "continue", "continue", "reverse-continue",
             "reverse-continue", *state, "break *$eip if $edi == 0xffff", "reverse-continue")
check("breakpoints stop on the way back", [number(x) for x in a[5:8]] == [number(x) for x in a[12:15]], a[4:15])
check("conditions hold on the way back", number(a[16]) is None, a[16])

# ---- what a guest has sent is not sent again
sent = record("echo", 3_000_000, stdin=open(hal))
check("the guest answers", sent == b"IBM", sent)
_, out = debug("continue", "reverse-continue", "continue", "reverse-stepi", "continue")
check("going back repeats no output", out == sent, out)
# ---- a machine that nobody records
a, _ = debug("watch *(int*)0x9000", "continue", *state, "stepi 7", "reverse-stepi 7", *state, "continue", "p/x $eax", "reverse-continue", *state,
             "reverse-stepi 5", "stepi 5", *state, "continue", "p/x $eax", "delete", "reverse-continue", "p $icount", command=machine("busy"))
first, back, before, forth = ([number(x) for x in a[n:n + 3]] for n in (2, 7, 13, 18))
check("a machine that nobody records stops at a watchpoint", len(values(a[1])) == 2, a[1])
check("seven steps back undo seven steps", first == back, first, back)
check("backwards the write is undone", values(a[12]) == values(a[10])[::-1] and values(a[10])[0] == values(a[1])[1], a[12], a[10])
check("steps forward undo steps back", forth == before, forth, before)
check("the next stop is the same again", values(a[21]) == values(a[10]) and number(a[11]) == number(a[22]) is not None, a[10:12], a[21:23])
check("the history begins where the machine did", "No more reverse-execution history" in a[24] and number(a[25]) == 0, a[24:26])

# ---- what is written in the past begins another future
a, _ = debug("watch *(int*)0x9000", "continue", "continue", "p $icount", "delete", "reverse-stepi 3", "set $edx = 77", "set *(int*)0x90000 = 1234", "stepi 3", "p $icount",
             "p *(int*)0x90000", "reverse-stepi 5", "p *(int*)0x90000", "stepi 5", "p *(int*)0x90000", command=[*machine("busy"), "--record", rec])
check("the emulator tells that the past has changed", "what came later is forgotten" in said and "ends where the machine was" in said, said)
check("time goes on from there", number(a[3]) == number(a[9]), a[3], a[9])
check("what was written is undone on the way back, and done again", [number(a[n]) for n in (10, 12, 14)] == [1234, 0, 1234], a[10:15])
r = subprocess.run([calque, "replay", rec, "--display", "none", "--serial", "none"], capture_output=True, text=True, timeout=60)
check("what was recorded before is whole", r.returncode == 0 and r.stderr == "", r)

# ---- what a debugger writes is in the recording
def hash_of(text):
    return re.search(r"instructions \d+ hash [0-9a-f]+", text)[0] if "hash" in text else text


_, out = debug("stepi 5000", "set $edx = 77", "set *(int*)0x90000 = 1234", "stepi 3", "set $eip = $eip", "monitor msr 0x174 8", "stepi 20000",
               command=[*machine("busy"), "--record", rec, "--state-hash"])
for engine in ("jit", "interp"):
    r = subprocess.run([calque, "replay", rec, "--display", "none", "--serial", "none", "--state-hash", "--engine", engine], capture_output=True, text=True, timeout=60)
    check("a recording has what the debugger wrote", r.returncode == 0 and hash_of(r.stdout) == hash_of(out.decode()), r, out)

# ---- a snapshot with a past of its own is recorded from there: the past is counted as the recording counts
snap = folder.name + "/a.snap"
r = subprocess.run([*machine("ticks"), "--stop-at", "3000000", "--save", snap], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
check("a snapshot is made", r.returncode == 0, r.stderr)
a, out = debug("p $icount", "stepi 1000", "p $icount", "reverse-stepi 700", "p $icount", "stepi 700", "p $icount", "reverse-continue", "p $icount", "continue",
               command=[calque, "--load", snap, "--display", "none", "--serial", "stdio", "--clock", "fixed", "--record", rec, "--stop-at", "3500000", "--state-hash"])
first, there, back, again, begin = (number(a[n]) for n in (0, 2, 4, 6, 8))
check("a recorded snapshot goes back and forth", first == begin == 3_000_000 < back < there == again, a, said)
r = subprocess.run([calque, "replay", rec, "--display", "none", "--serial", "none", "--state-hash"], capture_output=True, text=True, timeout=60)
check("and its recording replays", r.returncode == 0 and hash_of(r.stdout) == hash_of(out.decode()), r, out)

# ---- a replay that is changed goes on as a machine
record("echo", 3_000_000, stdin=open(hal))
a, _ = debug("stepi 1000", "set *(int*)0x90000 = 1234", "stepi 100000", "reverse-stepi 1000", "p *(int*)0x90000", "p $icount")
check("the emulator tells that a replay has been left", "leaves the recording" in said, said)
check("there too the past can be had", number(a[4]) == 1234, a[4:6])


# ---- Ctrl-C on the way back
def packet(text):
    return f"${text}#{sum(text.encode()) & 255:02x}".encode()


server = serve([*machine("busy"), "--engine", "interp"])
client = sockets.socket(sockets.AF_UNIX)
client.settimeout(60)
client.connect(socket)


def answer(until):
    got = b""
    while not re.search(until, got):
        piece = client.recv(4096)
        if not piece:
            break
        got += piece
    return got


client.sendall(packet("QStartNoAckMode"))
answer(rb"OK#..")
client.sendall(b"+" + packet("vCont;c"))
time.sleep(3)
client.sendall(b"\x03")
check("Ctrl-C stops the machine", b"T02" in answer(rb"\$T\w\w.*#.."))
client.sendall(packet("Z2,90000,4"))
answer(rb"OK#..")
client.sendall(packet("bc"))
time.sleep(0.1)
client.sendall(b"\x03")
got = answer(rb"\$T\w\w.*#..")
check("Ctrl-C stops the way back", b"T02" in got, got[:40])
client.sendall(packet("bc"))
got = answer(rb"\$T\w\w.*#..")
check("which can be gone on", b"replaylog:begin" in got, got[:40])
client.sendall(packet("bc"))
time.sleep(0.01)
client.close()   # nobody is there any more
time.sleep(0.2)
server.terminate()
check("a client that has gone leaves the emulator in order", server.wait(timeout=30) == 128 + 15, server.returncode)
print("all well" if not failures else f"{failures} failed")
sys.exit(failures != 0)
