#!/usr/bin/env python3
"""Each processor model runs the guests that it can: memtest86+, Debian's installers, Debian on a disk.

    models.py CALQUE IMAGE [MODEL ...]     IMAGE comes from tools/make-debian-disk and is not changed

Hours: run by hand. One line a model and guest; status 1 when one of them failed.
"""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
calque, image, *only = sys.argv[1:]


OLD = {"memtest ia32": ["memtest.py", calque, "kernel", "/boot/memtest86+ia32.bin"]}
# Debian 12 wants an i686 with CMOV.
I686 = {**OLD, "installer i386": ["installer.py", calque, "i386"]}
AMD64 = {**I686, "memtest x64": ["memtest.py", calque, "kernel", "/boot/memtest86+x64.bin"], "installer amd64": ["installer.py", calque, "amd64"],
         "Debian disk": ["debian_disk.py", calque, image]}
MODELS = {"486": OLD, "pentium": OLD, "pentium3": I686, "core2": AMD64, "x86-64-v1": AMD64, "x86-64-v2": AMD64, "x86-64-v3": AMD64, "max": AMD64}

failed = 0
for model in only or MODELS:
    for name, (script, *arguments) in sorted(MODELS[model].items(), key=lambda guest: "memtest" in guest[0]):
        start = time.monotonic()
        result = subprocess.run([sys.executable, f"{HERE}/{script}", *arguments, "--cpu", model], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        print(f"{model:10} {name:16} {'ok' if result.returncode == 0 else 'FAILED'} {time.monotonic() - start:6.0f} s", flush=True)
        if result.returncode:
            failed += 1
            print(result.stdout[-1500:], result.stderr[-500:], flush=True)
print(f"{failed} failed")
sys.exit(failed > 0)
