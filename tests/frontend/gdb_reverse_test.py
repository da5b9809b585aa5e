#!/usr/bin/env python3
"""A real gdb goes backwards in a replay.   gdb_reverse_test.py CALQUE GUESTS-FOLDER"""
import re
import shutil
import subprocess
import sys
import tempfile

calque, guests = sys.argv[1:3]
if not shutil.which("gdb"):
    print("there is no gdb")
    sys.exit(77)
folder = tempfile.TemporaryDirectory()
rom = bytearray(512)
rom[0:3] = b"\x55\xaa\x01"
rom[511] = -sum(rom) & 0xff
vga, rec, socket = (f"{folder.name}/{n}" for n in ("vga.bin", "a.rec", "gdb"))
open(vga, "wb").write(bytes(rom))
failures = 0


def check(what, condition, *context):
    global failures
    if not condition:
        failures += 1
        print("FAILED:", what, *context)


def record(guest, instructions, **more):
    r = subprocess.run([calque, "--bios", f"{guests}/{guest}.bin", "--vgabios", vga, "--memory", "16M", "--display", "none", "--serial", "stdio",
                        "--stop-at", str(instructions), "--record", rec], capture_output=True, timeout=60, **more)
    check("recording", r.returncode == 0, r.stderr)
    return r.stdout


def debug(*commands):
    """What each command printed, and what the guest sent."""
    server = subprocess.Popen([calque, "replay", rec, "--display", "none", "--serial", "stdio", "--gdb", "unix:" + socket, "--wait"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(200):
        if subprocess.run(["test", "-S", socket]).returncode == 0:
            break
        subprocess.run(["sleep", "0.05"])
    lines = ["set pagination off", "set confirm off", "set architecture i8086", f"target remote {socket}"]
    for c in commands:
        lines += ["echo <<<\\n", c, "echo >>>\\n"]
    script = folder.name + "/script"
    open(script, "w").write("\n".join([*lines, "kill", ""]))
    r = subprocess.run(["gdb", "-nx", "-batch", "-x", script], capture_output=True, text=True, timeout=100)
    out = server.communicate(timeout=60)[0]
    answers = re.findall(r"<<<\n(.*?)>>>\n", r.stdout, re.S)
    check("gdb has done all commands", len(answers) == len(commands), r.stdout, r.stderr)
    return [*answers, *[""] * (len(commands) - len(answers))], out


def number(text):
    m = re.search(r"= (0x[0-9a-f]+|\d+)", text)
    return int(m[1], 0) if m else None


# ---- arithmetic for ever: every instruction tells where one is
record("busy", 30_000_000)
state = ["p/x $eip", "p/x $eax", "p/x $edi"]
a, _ = debug("watch *(int*)0x9000", "continue", *state, "stepi 7", "reverse-stepi 7", *state, "reverse-stepi", "stepi", *state,
             "continue", "p/x $eax", "reverse-continue", *state, "p/x *(int*)0x9000",
             "reverse-continue", "reverse-continue", "delete", "stepi 3", "reverse-continue", "continue", "reverse-stepi", *state, "stepi", "p/x $eip")
first, back, again, second = ([number(x) for x in a[n:n + 3]] for n in (2, 7, 12, 18))
check("a watchpoint stops", "watchpoint" in a[1].lower(), a[1])
check("seven steps back undo seven steps", first == back, first, back)
check("a step undoes a step back", first == again, first, again)
check("the next hit is another", number(a[16]) is not None and number(a[16]) != first[1], a[15], a[16], first)
check("reverse-continue finds the write before", "watchpoint" in a[17].lower() and second == first, a[17], first, second)
check("before the first write the history begins", "No more reverse-execution history" in a[22] + a[23], a[22], a[23])
check("reverse-continue without stops goes to the beginning", "No more reverse-execution history" in a[26], a[26])
check("continue goes to the end of the recording", "No more reverse-execution history" in a[27], a[27])
check("a step back from the end can be undone", number(a[33]) is not None and number(a[29]) != number(a[33]), a[28:34])

a, _ = debug("watch *(int*)0x9000", "continue", "delete", "break *$eip", "continue", *state, "continue", "continue", "reverse-continue",
             "reverse-continue", *state, "break *$eip if $edi == 0xffff", "reverse-continue")
check("breakpoints stop on the way back", [number(x) for x in a[5:8]] == [number(x) for x in a[12:15]], a[4:15])
check("conditions hold on the way back", number(a[16]) is None, a[16])

# ---- what a guest has sent is not sent again
sent = record("echo", 3_000_000, input=b"HAL")
check("the guest answers", sent == b"IBM", sent)
_, out = debug("continue", "reverse-continue", "continue", "reverse-stepi", "continue")
check("going back repeats no output", out == sent, out)
print("all well" if not failures else f"{failures} failed")
sys.exit(failures != 0)
