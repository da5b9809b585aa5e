#!/usr/bin/env python3
"""Real programs in Debian print to the letter what they print on the host's processor: openssl's ciphers and digests, 7zz's benchmark and
methods, Python's tests of numbers, and gcc with a program of 20,000 lines (programs/programs.sh).

    debian_programs.py CALQUE IMAGE [--only NAME,NAME] [options of calque ...]

As root. IMAGE comes from `tools/make-debian-disk IMAGE 4096 openssl 7zip libpython3.11-testsuite`; its own files are run natively, too.
"""
import difflib
import itertools
import os
import subprocess
import sys
import tempfile

from guest import Guest, check, log_in

HERE = os.path.dirname(os.path.abspath(__file__))
calque, image, *options = sys.argv[1:]
names = ["openssl", "python", "gcc", "7za", "7zb"]
if options[:1] == ["--only"]:
    names, options = options[1].split(","), options[2:]

work = tempfile.TemporaryDirectory(dir="/var/tmp")
root = os.path.join(work.name, "root")
os.mkdir(root)
subprocess.run(["debugfs", "-R", f"rdump / {root}", image + "?offset=1048576"], check=True, capture_output=True)
for device, minor in ("null", 3), ("zero", 5), ("urandom", 9):
    subprocess.run(["mknod", "-m", "666", f"{root}/dev/{device}", "c", "1", str(minor)], check=True)
subprocess.run(["cp", "-r", HERE + "/programs", root + "/root/"], check=True)
os.chmod(root + "/tmp", 0o1777)


def natively(name):
    mount = f"mount -t proc proc {root}/proc && exec chroot {root} sh /root/programs/programs.sh {name}"
    return subprocess.run(["unshare", "--mount", "--pid", "--fork", "sh", "-c", mount], check=True, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}).stdout


# The programs come as a tar archive on a second disk.
archive = os.path.join(work.name, "programs.tar")
subprocess.run(["tar", "cf", archive, "-C", HERE, "programs"], check=True)
guest = Guest([calque, "--memory", "2G", "--disk", image + ",snapshot=on", "--disk", archive + ",snapshot=on", "--serial", "stdio", "--display", "none",
               *options], limit=7200)
PROMPT = log_in(guest)
guest.run("export LANG=C.UTF-8; tar xf /dev/sdb -C /root && ls /root/programs", PROMPT)
different = 0
for name in names:
    expected = natively(name).strip()
    check(len(expected) > 20, f"{name} prints something natively", expected)
    printed = guest.run(f"sh /root/programs/programs.sh {name}", PROMPT).strip()
    lines = expected.count("\n") + 1
    if printed == expected:
        print(f"{name}: {lines} lines as on the host; the last: {expected.splitlines()[-1]}", flush=True)
        continue
    different += 1
    diff = difflib.unified_diff(expected.splitlines(), printed.splitlines(), "host", "guest", n=0, lineterm="")
    print(f"{name}: DIFFERENT", *itertools.islice(diff, 20), sep="\n  ", flush=True)
log = guest.run("dmesg --level=emerg,alert,crit,err", PROMPT)
check("segfault" not in log and "BUG" not in log, "the kernel has nothing to say", log)
guest.send("poweroff")
check(guest.wait() == 0, "poweroff ends the emulator with status 0", guest.text[-500:])
check(not different, f"{different} programs differ")
print("ok")
