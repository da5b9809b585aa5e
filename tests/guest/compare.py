#!/usr/bin/env python3
"""Runs the guest program on Calque, on QEMU and on Bochs, and prints what deviates from the manual, as docs/deviations.md has it.

  compare.py [--calque PATH] [--only calque,qemu,bochs] [--lines]

Deviations of one kind are a group, by the expressions in deviations.txt beside this file; what none of them matches stands alone.
--lines prints the program's own lines instead. Run by hand: it needs Debian's packages qemu-system-x86, bochs and nasm.
"""
import argparse
import os
import pty
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def assemble(folder, name, *defines):
    image = f"{folder}/{name}.bin"
    subprocess.run(["nasm", "-f", "bin", *defines, "-I", HERE + "/", "-o", image, HERE + "/main.asm"], check=True)
    return image


def run(command, **kw):
    try:
        out = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=600, **kw).stdout
    except subprocess.TimeoutExpired as late:  # a case has not ended
        out = late.stdout or b""
    return out.decode(errors="replace")


def calque(image, folder, path, engine):
    return run([path, "--engine", engine, "--memory", "64M", "--display", "none", "--serial", "stdio", "--no-reboot", "--kernel", image, "--device",
                "isa-debug-exit", "--cpu", "max"])


def qemu(image, folder):
    # QEMU 7.2 does not survive some things: it takes the guest's code breakpoints for those of a debugger that is not there, accepts
    # SYSCALL in real mode and control register values that must be refused, and aborts at LOCK BTS of a register.
    return run(["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,vendor=GenuineIntel", "-m", "64", "-display", "none", "-nodefaults", "-no-reboot", "-kernel", image,
                "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"])


def on_terminal(command):
    """Bochs' text display wants a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    try:
        while os.read(master, 65536):
            pass
    except OSError:  # the other end is closed
        pass
    process.wait(600)
    os.close(master)


def bochs(image, folder):
    with open(image, "rb") as f:
        kernel = f.read()
    sectors = (len(kernel) + 511) // 512
    boot = f"{folder}/boot.bin"
    subprocess.run(["nasm", "-f", "bin", f"-DSECTORS={sectors}", "-o", boot, HERE + "/boot.asm"], check=True)
    cylinders = sectors // (16 * 63) + 2
    with open(boot, "rb") as f, open(f"{folder}/disk.img", "wb") as disk:
        disk.write(f.read() + kernel)
        disk.truncate(cylinders * 16 * 63 * 512)
    with open(f"{folder}/bochsrc", "w") as f:
        f.write(f"""display_library: term
cpu: model=corei7_icelake_u, count=1, ips=100000000, reset_on_triple_fault=0
megs: 64
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=disk, path={folder}/disk.img, mode=flat, cylinders={cylinders}, heads=16, spt=63
boot: disk
com1: enabled=1, mode=file, dev={folder}/serial.txt
log: {folder}/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
""")
    with open(f"{folder}/commands", "w") as f:  # Debian's Bochs begins in its debugger
        f.write("continue\nquit\n")
    on_terminal(["bochs", "-q", "-f", f"{folder}/bochsrc", "-rc", f"{folder}/commands"])
    with open(f"{folder}/serial.txt", errors="replace") as f:
        return f.read()


def version(command, pattern):
    text = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode(errors="replace")
    found = re.search(pattern, text)
    return found.group(1) if found else "?"


def read_groups():
    """deviations.txt: emulator, expression for the program's line, what the emulator does, what the manual says; between bars."""
    groups = []
    with open(HERE + "/deviations.txt") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                emulator, pattern, does, says = (part.strip() for part in line.split(" | "))
                groups.append((emulator, re.compile(pattern), does, says))
    return groups


def shortened(line):
    line = line.replace('|', '/')
    return line if len(line) <= 110 else line[:107] + "..."


def document(name, lines, groups):
    """One emulator's table; the lines that belong to no group come last."""
    rows, alone = {}, []
    for line in lines:
        for n, (emulator, pattern, _, _) in enumerate(groups):
            if name.startswith(emulator) and pattern.search(line):
                rows.setdefault(n, []).append(line)
                break
        else:
            alone.append(line)
    print("| Checks | What it does | What the manual says | For example |\n|---|---|---|---|")
    for n, found in sorted(rows.items(), key=lambda row: -len(row[1])):
        print(f"| {len(found)} | {groups[n][2]} | {groups[n][3]} | `{shortened(found[0])}` |")
    for line in alone:
        print(f"| 1 | not explained | | `{shortened(line)}` |")
    print()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--calque", default=os.path.join(HERE, "../../build/calque"))
    p.add_argument("--only", default="calque,qemu,bochs")
    p.add_argument("--lines", action="store_true")
    a = p.parse_args()
    only = a.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        image = assemble(folder, "guest")
        runs = []
        if "calque" in only:
            runs += [(f"Calque ({e})", lambda e=e: calque(image, folder, a.calque, e)) for e in ("jit", "interp")]
        if "qemu" in only:
            runs.append(("QEMU " + version(["qemu-system-x86_64", "--version"], r"version (\S+)"), 
                         lambda: qemu(assemble(folder, "without", "-DFRAGILE"), folder)))
        if "bochs" in only:
            runs.append(("Bochs " + version(["dpkg-query", "-W", "bochs"], r"bochs\s+(\d+(?:\.\d+)*)"), lambda: bochs(image, folder)))
        groups, whole = read_groups(), True
        for name, start in runs:
            lines = start().replace("\r", "").splitlines()
            end = lines.pop() if lines and lines[-1].endswith(" deviations") else f"did not come to the end; {len(lines)} deviations before"
            whole = whole and bool(re.fullmatch(r"\d+ checks, \d+ deviations", end))
            print(f"## {name}: {end}\n")
            if a.lines:
                print("\n".join(lines) + "\n")
            elif lines:
                document(name, lines, groups)
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
