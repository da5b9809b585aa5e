#!/usr/bin/env python3
"""Has calque verify look for each fault that a build can have on purpose, in the boot of Debian's installer.
   planted_faults.py CALQUE FOLDER [FAULT ...]

CALQUE is a build without faults; it makes a snapshot behind the firmware and the boot loader, where the kernel begins. FOLDER gets a build for
each fault (ccache helps) and the reproducers. Prints a table for docs/finding-an-instruction.md. Run by hand: it takes about an hour.
"""
import os
import re
import subprocess
import sys
import time

from guest import check, installer

calque, folder, *faults = sys.argv[1:]
source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BEGIN, END = 4_600_000_000, 7_000_000_000   # the kernel unpacks itself; a shell has its prompt


def output(command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def choices():
    with open(os.path.join(source, "meson_options.txt")) as f:
        return re.findall(r"'(\w+)'", re.search(r"choices: \['none',(.*?)\]", f.read(), re.S)[1])


def built(fault):
    build = os.path.join(folder, fault)
    if not os.path.exists(os.path.join(build, "build.ninja")):
        made = output(["meson", "setup", build, source, f"-Dplanted_fault={fault}"], env={**os.environ, "CXX": os.environ.get("CXX", "ccache g++")})
        check(made.returncode == 0, f"meson sets up {build}", made.stdout[-2000:])
    made = output(["ninja", "-C", build, "-j2", "calque"])
    check(made.returncode == 0, f"{fault} builds", made.stdout[-2000:])
    return os.path.join(build, "calque")


def line(text, heading):
    found = re.search(re.escape(heading) + r"[^\n]*\n\s*([^\n]*)", text)
    return re.sub(r"\s+", " ", found[1]) if found else "?"


os.makedirs(folder, exist_ok=True)
snapshot = os.path.join(folder, "kernel.snap")
if not os.path.exists(snapshot):
    made = output([calque, "--memory", "256M", *installer("amd64"), "--append", "console=ttyS0 rdinit=/bin/sh", "--serial", "none", "--display", "none",
                   "--clock", "fixed", "--stop-at", str(BEGIN), "--save", snapshot])
    check(made.returncode == 0, "the snapshot is made", made.stderr)

wrong = []
print("| Fault | Found after | Instructions | Instruction | Reproducer | jit with it | interp | jit without it |\n|---|---|---|---|---|---|---|---|")
for fault in faults or choices():
    broken, case = built(fault), os.path.join(folder, fault + ".json")
    if os.path.exists(case):
        os.remove(case)
    begun = time.monotonic()
    run = output([broken, "verify", "--load", snapshot, "--stop-at", str(END), "--case", case])
    took = time.monotonic() - begun
    with open(os.path.join(folder, fault + ".txt"), "w") as f:
        f.write(run.stdout + run.stderr)
    count = re.search(r"differ after instruction (\d+)", run.stdout)
    itself = line(run.stdout, "The instruction that is wrong by itself:")
    last = re.search(r"The last of (\d+) instructions", run.stdout)
    named = itself if not last else line(run.stdout, last[0])

    def status(command, engine):
        return {0: "passes", 1: "fails"}.get(output([command, "exec", "--engine", engine, case]).returncode, "none")

    results = [status(broken, "jit"), status(broken, "interp"), status(calque, "jit")]
    print(f"| `{fault}` | {took:.0f} s | {int(count[1]) - BEGIN if count else '-'} | `{named}` | {last[1] if last else 1} | {' | '.join(results)} |", flush=True)
    if run.returncode != 1 or results[0] != "fails" or results[2] != "passes":
        wrong.append(fault)
check(not wrong, "every fault is found and its reproducer shows it", ", ".join(wrong))
