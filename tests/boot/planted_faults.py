#!/usr/bin/env python3
"""Has calque verify look for each fault that a build can have on purpose, in the boot of Debian's installer.
   planted_faults.py CALQUE FAULTY FOLDER [FAULT ...]

CALQUE is a build without faults; it makes snapshots of one boot: where the kernel begins, and while programs run. FAULTY is a build with
-Dplanted_faults=true. FOLDER gets snapshots and reproducers. Prints a table for docs/finding-an-instruction.md. Run by hand: it takes some ten minutes
on a host that has nothing else to do.
"""
import os
import re
import subprocess
import sys
import time

from guest import check, installer

calque, faulty, folder, *chosen = sys.argv[1:]
# Instructions after power on: the kernel unpacks itself; the installer starts its services; it goes on.
KERNEL, PROGRAMS, LATER = 4_600_000_000, 8_300_000_000, 8_520_000_000
FURTHEST, STEP = 400_000_000, 2_000_000   # behind the snapshot; between comparisons
FAULTS = {
    "x64_budget": PROGRAMS, "x64_sign": PROGRAMS, "x64_page_crossing": PROGRAMS, "x64_movemask": PROGRAMS,
    "opt_dead_flags": KERNEL, "opt_forward_state": PROGRAMS, "opt_fuse_compare": PROGRAMS,
    "tlb_read_only": PROGRAMS, "tlb_invlpg": LATER, "tlb_context": KERNEL,
    "code_store": KERNEL, "code_inside": KERNEL, "code_granule": KERNEL,
}


def output(command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def line(text, heading):
    found = re.search(re.escape(heading) + r"[^\n]*\n\s*([^\n]*)", text)
    return re.sub(r"\s+", " ", found[1]) if found else "?"


def snapshot(begin, *machine):
    path = os.path.join(folder, f"{begin}.snap")
    if not os.path.exists(path):
        made = output([calque, *machine, "--serial", "none", "--display", "none", "--clock", "fixed", "--stop-at", str(begin), "--save", path])
        check(made.returncode == 0, f"a snapshot is made at {begin}", made.stderr)
    return path


os.makedirs(folder, exist_ok=True)
kernel = snapshot(KERNEL, "--memory", "512M", *installer("amd64"), "--append", "console=ttyS0")
for later in (PROGRAMS, LATER):
    snapshot(later, "--load", kernel)

wrong = []
print("| Fault | From | Found after | Instructions | Instruction | Reproducer | jit with it | interp | jit without it |\n|---|---|---|---|---|---|---|---|---|")
for fault in chosen or FAULTS:
    begin, case = FAULTS[fault], os.path.join(folder, fault + ".json")
    if os.path.exists(case):
        os.remove(case)
    begun = time.monotonic()
    broken = {**os.environ, "CALQUE_PLANTED_FAULT": fault}
    run = output([faulty, "verify", "--load", snapshot(begin), "--stop-at", str(begin + FURTHEST), "--step", str(STEP), "--case", case], env=broken)
    took = time.monotonic() - begun
    with open(os.path.join(folder, fault + ".txt"), "w") as f:
        f.write(run.stdout + run.stderr)
    count = re.search(r"differ after instruction (\d+)", run.stdout)
    itself = line(run.stdout, "The instruction that is wrong by itself:")
    last = re.search(r"The last of (\d+) instructions", run.stdout)
    named = itself if not last else line(run.stdout, last[0])

    def status(command, engine, **more):
        return {0: "passes", 1: "fails"}.get(output([command, "exec", "--engine", engine, case], **more).returncode, "none")

    results = [status(faulty, "jit", env=broken), status(faulty, "interp", env=broken), status(calque, "jit")]
    print(f"| `{fault}` | {begin // 1_000_000} | {took:.0f} s | {int(count[1]) - begin if count else '-'} | `{named}` | {last[1] if last else 1} | {' | '.join(results)} |", flush=True)
    if run.returncode != 1 or results[0] != "fails" or results[2] != "passes":
        wrong.append(fault)
check(not wrong, "every fault is found and its reproducer shows it", ", ".join(wrong))
