#!/usr/bin/env python3
"""A Debian 12 with systemd on a disk: logs in, works, writes files, shuts down; the file system is clean and holds the files.

    debian_disk.py CALQUE IMAGE [options of calque ...]     IMAGE comes from tools/make-debian-disk and is not changed
"""
import hashlib
import os
import subprocess
import sys
import tempfile

from guest import Guest, check, log_in

PROGRAM = r"""
#include <stdio.h>
#include <math.h>
int main(void) {
    double sum = 0;
    for (int i = 1; i <= 100000; i++) sum += sqrt(i) / i;
    printf("sum %.9f\n", sum);
    return 0;
}
"""

calque, image, *options = sys.argv[1:]
work = tempfile.TemporaryDirectory(dir="/var/tmp")
disk = os.path.join(work.name, "disk.img")
subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, disk], check=True)

guest = Guest([calque, "--memory", "1G", "--disk", disk, "--serial", "stdio", "--display", "none", *options], limit=900)
PROMPT = log_in(guest)


def run(line):
    printed = guest.run(line, PROMPT)
    print("#", line.split("\n")[0], "\n" + printed.strip(), flush=True)
    return printed


packages = run("apt list --installed 2>/dev/null | wc -l")
check(int(packages.split()[0]) > 100, "apt lists the packages", packages)
guest.send("cat > sum.c <<'END'" + PROGRAM + "END")
guest.expect(r"END\r*\n[^\n]*# $")
check("sum 630.996758662" in run("gcc -O2 -o sum sum.c -lm && ./sum"), "gcc's program computes")
check("499999500000" in run("python3 -c 'print(sum(range(10**6)))'"), "python adds")
run("for i in 1 2 3 4 5 6 7 8; do seq $i 100000 > /root/file$i; done; sync")
sums = run("md5sum /root/file*")
failed = run("systemctl --failed --no-legend; systemctl is-system-running")
check("running" in failed, "systemd is content", failed)
log = run("dmesg --level=emerg,alert,crit,err,warn")
for bad in ("BUG:", "Oops", "Call Trace", "ata1", "ata2", "I/O error", "EXT4-fs error", "timekeeping watchdog", "soft lockup"):
    check(bad not in log, f"no {bad!r} in the kernel's log", log)
guest.send("poweroff")
check(guest.wait() == 0, "poweroff ends the emulator with status 0", guest.text[-500:])

# The partition starts at 1 MiB.
partition = disk + "?offset=1048576"
result = subprocess.run(["e2fsck", "-fn", partition], capture_output=True, text=True)
print(result.stdout, result.stderr)
check(result.returncode == 0, "e2fsck finds a clean file system", result.stdout)
for i in range(1, 9):
    data = subprocess.run(["debugfs", "-R", f"cat /root/file{i}", partition], capture_output=True).stdout
    check(data == b"".join(b"%d\n" % n for n in range(i, 100001)), f"/root/file{i} is on the disk", len(data))
    check(hashlib.md5(data).hexdigest() in sums, f"/root/file{i} is what the guest saw", sums)
print("ok")
