#!/usr/bin/env python3
"""iPXE, as a kernel or from its CD: it finds no network card and gives back to the BIOS.   ipxe.py CALQUE kernel|cdrom [options of calque ...]

Exit status 77 (skipped) without Debian's package ipxe.
"""
import os
import sys

from guest import check
from qmp import Machine

calque, how, *options = sys.argv[1:]
image = {"kernel": "/usr/lib/ipxe/ipxe.lkrn", "cdrom": "/usr/lib/ipxe/ipxe.iso"}[how]
if not os.path.exists(image):
    sys.exit(77)
# It waits for machine time in loops, so this goes faster where time follows the host's clock.
machine = Machine(calque, ["--memory", "64M", "--" + how, image, "--serial", "none", "--display", "none", "--clock", "host", *options], limit=240)
machine.wait_text("Open Source Network Boot Firmware")
machine.wait_text("No more network devices")
machine.wait_text("No bootable device")
print(machine.screen())
check(machine.quit() in (0, 1), "the emulator ends")
