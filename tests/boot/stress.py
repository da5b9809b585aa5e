#!/usr/bin/env python3
"""Ten minutes of stress-ng in the Debian guest: no error there, none here, and little memory beside the guest's.

    stress.py CALQUE IMAGE [--seconds N] [options of calque ...]     IMAGE comes from tools/make-debian-disk and is not changed
"""
import re
import subprocess
import sys
import time

from guest import Guest, check, log_in

RAM_MB, BESIDES_MB = 512, 300

calque, image, *options = sys.argv[1:]
seconds = 600
if options[:1] == ["--seconds"]:
    seconds, options = int(options[1]), options[2:]

guest = Guest([calque, "--memory", f"{RAM_MB}M", "--disk", image + ",snapshot=on", "--serial", "stdio", "--display", "none",
               "--clock", "host", *options], limit=600)
PROMPT = log_in(guest)


def peak_mb():
    with open(f"/proc/{guest.process.pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read())[1]) // 1024


print("after boot: peak", peak_mb(), "MB", flush=True)
guest.limit = seconds * 4 + 600
start = time.monotonic()
printed = guest.run(f"stress-ng --cpu 1 --vm 1 --vm-bytes 128M --fork 2 --hdd 1 --verify --metrics-brief -t {seconds}; echo status $?", PROMPT)
print(printed)
print(f"{time.monotonic() - start:.0f} s of wall time, peak {peak_mb()} MB", flush=True)
check("status 0" in printed and "successful run" in printed and "fail" not in printed.replace("failed: 0", ""), "stress-ng found no error",
      printed)
log = guest.run("dmesg --level=emerg,alert,crit,err,warn", PROMPT)
print(log)
for bad in ("BUG:", "Oops", "Call Trace", "I/O error", "EXT4-fs error", "timekeeping watchdog", "soft lockup", "rcu_preempt"):
    check(bad not in log, f"no {bad!r} in the kernel's log", log)
check(peak_mb() < RAM_MB + BESIDES_MB, f"memory stays below guest RAM + {BESIDES_MB} MB", peak_mb())
guest.send("poweroff")
check(guest.wait() == 0, "poweroff ends the emulator with status 0", guest.text[-500:])
print("ok")
