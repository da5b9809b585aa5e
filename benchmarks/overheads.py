#!/usr/bin/env python3
"""What recording and looking cost: the boot of Debian's installer up to an instruction count, as it is and with each of them.

  overheads.py [--calque PATH] [--rounds N] [--stop-at N] [--only NAME,...]

Prints a table of processor seconds of the whole process, medians of rounds in which all take turns, and what each adds.
"""
import os
import statistics
import subprocess
import sys
import tempfile

from installer import boot, options
from stub import Stub

TRACED = 10_000_000   # instructions that are traced one by one

WATCH = "Z2,7fff12345678,4"   # nothing is there


def seconds(command, path=None, packets=()):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if path:
        stub = Stub(path)
        for packet in (*packets, "vCont;c"):
            stub.ask(packet)
    complaint = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: status {status}\n{complaint}")
    return used.ru_utime + used.ru_stime


def main():
    ap = options(__doc__)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--stop-at", type=int, default=6_500_000_000)
    ap.add_argument("--only", default="")
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file, stub = folder + "/file", folder + "/gdb"
        start = [*boot(a.calque), "--append", "console=ttyS0 rdinit=/bin/sh", "--stop-at", str(a.stop_at)]
        gdb = ["--gdb", "unix:" + stub, "--wait"]
        instructions = f"{file},instructions,count={a.stop_at - TRACED}-"
        kinds = {   # name: options, then what a debugger says
            "plain": ([], None),
            "--record": (["--record", file], None),
            "--gdb, no history": ([*gdb, "--history", "0"], ()),
            "--gdb, watchpoint that is not hit": ([*gdb, "--history", "0"], (WATCH,)),
            "--gdb, checkpoints": (gdb, ()),
            "--trace of interrupts and ports": (["--trace", file + ",interrupts,ports"], None),
            f"--trace of the last {TRACED:,} instructions": (["--trace", instructions], None),
            "--coverage": (["--coverage", file], None),
            "--profile": (["--profile", file], None),
        }
        if a.only:
            kinds = {k: v for k, v in kinds.items() if k == "plain" or any(w in k for w in a.only.split(","))}
        times = {name: [] for name in kinds}
        for _ in range(a.rounds):
            for name, (more, packets) in kinds.items():
                times[name].append(seconds(start + more, None if packets is None else stub, packets or ()))
                for left in (file, stub):
                    if os.path.exists(left):
                        os.remove(left)
        base = statistics.median(times["plain"])
        print(f"| {a.stop_at:,} instructions | Processor seconds | Range | Adds |\n|---|---|---|---|")
        for name, t in times.items():
            m = statistics.median(t)
            print(f"| {name} | {m:.2f} | {min(t):.2f} to {max(t):.2f} | {m - base:+.2f} s, {100 * (m / base - 1):+.1f} % |")


main()
