#!/usr/bin/env python3
"""A CD with isolinux or GRUB starts Debian's installer kernel, through SeaBIOS.   boot_cd.py CALQUE MAKE_CD isolinux|grub [options of calque ...]"""
import os
import subprocess
import sys
import tempfile

from guest import PROMPT, Guest, check, installer

calque, make_cd, loader, *options = sys.argv[1:]
folder = tempfile.TemporaryDirectory(dir="/var/tmp")
image = os.path.join(folder.name, "cd.iso")
_, kernel, _, initrd = installer("amd64")
subprocess.run([make_cd, loader, image, kernel, initrd], check=True)
guest = Guest([calque, "--memory", "512M", "--cdrom", image, "--serial", "stdio", "--display", "none", *options], limit=240)
guest.expect(PROMPT)
check("etc" in guest.run("ls /"), "ls / shows the initrd")
guest.send("poweroff -f")
check(guest.wait() == 0, "poweroff ends the emulator with status 0", guest.text[-500:])
print("ok")
