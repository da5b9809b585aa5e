#!/usr/bin/env python3
"""Benchmarks: guest kernels, translation throughput and whole boots, one JSON line each.

  run.py [--calque PATH] [--engines jit,interp] [--rounds N] [--only NAME,...] [--qemu]

Times are the host's, for the whole process. A kernel checks its own result and reports it through the debug exit port, so a fast
wrong answer is a failure. --qemu adds qemu-system (TCG) on the same work, in turn with ours.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from installer import IMAGES

HERE = os.path.dirname(os.path.abspath(__file__))
RIGHT = 1  # isa-debug-exit turns the value 0 into this status


def kernels():
    return sorted(f[:-4] for f in os.listdir(HERE + "/kernels") if f.endswith(".asm"))


def assemble(name, folder):
    out = f"{folder}/{name}.bin"
    subprocess.run(["nasm", "-f", "bin", "-i", HERE + "/kernels/", "-o", out, f"{HERE}/kernels/{name}.asm"], check=True)
    return out


def kernel_command(engine, calque, image):
    if engine == "qemu":
        return ["qemu-system-i386", "-accel", "tcg", "-m", "128", "-display", "none", "-nodefaults", "-no-reboot", "-kernel", image,
                "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
    return [calque, "--engine", engine, "--memory", "128M", "--display", "none", "--serial", "none", "--no-reboot", "--kernel", image,
            "--device", "isa-debug-exit"]


def boot_command(engine, calque, arch):
    d = IMAGES.format(arch)
    append = "console=ttyS0 panic=-1 rdinit=/nothing"  # the kernel panics where init would start, and resets
    if engine == "qemu":
        return ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-display", "none", "-nodefaults", "-no-reboot", "-serial", "null",
                "-kernel", d + "linux", "-initrd", d + "initrd.gz", "-append", append]
    return [calque, "--engine", engine, "--memory", "512M", "--display", "none", "--serial", "none", "--no-reboot", "--kernel", d + "linux",
            "--initrd", d + "initrd.gz", "--append", append]


def run_once(command, status):
    start = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    if done.returncode != status:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}, expected {status}\n{done.stdout[-1000:]}")
    return time.monotonic() - start


def measure(name, commands, status, rounds):
    times = {engine: [] for engine in commands}
    for _ in range(rounds):
        for engine, command in commands.items():
            times[engine].append(run_once(command, status))
    for engine, t in times.items():
        print(json.dumps({"benchmark": name, "engine": engine, "host": platform.machine(), "seconds": round(statistics.median(t), 3),
                          "min": round(min(t), 3), "max": round(max(t), 3), "rounds": rounds}), flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--calque", default=HERE + "/../build/calque")
    ap.add_argument("--engines", default="jit,interp")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--only", default="")
    ap.add_argument("--qemu", action="store_true")
    a = ap.parse_args()
    engines = a.engines.split(",") + (["qemu"] if a.qemu else [])
    wanted = a.only.split(",") if a.only else kernels() + ["boot_amd64", "boot_i386"]
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            if name.startswith("boot_"):
                measure(name, {e: boot_command(e, a.calque, name[5:]) for e in engines}, 0, a.rounds)
            else:
                image = assemble(name, folder)
                measure(name, {e: kernel_command(e, a.calque, image) for e in engines}, RIGHT, a.rounds)


main()
