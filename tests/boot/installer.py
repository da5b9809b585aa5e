#!/usr/bin/env python3
"""Debian's installer kernel and initrd, to a shell that works, and off again.   installer.py CALQUE ARCH [options of calque ...]"""
import sys

from guest import PROMPT, Guest, check, installer

calque, arch, *options = sys.argv[1:]
guest = Guest([calque, "--memory", "512M", *installer(arch), "--append", "console=ttyS0 rdinit=/bin/sh", "--serial", "stdio",
               "--display", "none", *options], limit=800)
guest.expect(PROMPT)
listing = guest.run("ls /")
check("etc" in listing and "proc" in listing, "ls / shows the initrd", listing)
guest.run("mount -t proc proc /proc")
cpu = guest.run("cat /proc/cpuinfo")
check("model name" in cpu and "fpu" in cpu, "cpuinfo describes the processor", cpu)
log = guest.run("dmesg")
check("Linux version" in log, "dmesg shows the kernel's log", log)
for bad in ("BUG:", "Oops", "Call Trace", "clocksource: timekeeping watchdog", "APIC error"):
    check(bad not in log, f"no {bad!r} in the kernel's log", log)
guest.send("poweroff -f")
check(guest.wait() == 0, "poweroff ends the emulator with status 0", guest.text[-500:])
print("ok")
