#!/usr/bin/env python3
"""Syslinux's graphical menu, hardware tool and memdisk from a CD: VESA modes, BIOS services from 32-bit code, hooked interrupts.

    syslinux_cd.py CALQUE [options of calque ...]
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

from guest import check
from qmp import Machine

CONFIG = """UI vesamenu.c32
MENU RESOLUTION 800 600
LABEL hardware
  COM32 hdt.c32
LABEL modes
  COM32 vesainfo.c32
LABEL floppy
  LINUX memdisk
  INITRD /floppy.img
"""

calque, *options = sys.argv[1:]
folder = tempfile.TemporaryDirectory(dir="/var/tmp")
root, image, picture = (os.path.join(folder.name, name) for name in ("cd", "cd.iso", "screen.png"))
os.makedirs(os.path.join(root, "isolinux"))
for file in ["/usr/lib/ISOLINUX/isolinux.bin", "/usr/lib/syslinux/memdisk", *glob.glob("/usr/lib/syslinux/modules/bios/*.c32")]:
    shutil.copy(file, os.path.join(root, "isolinux"))
shutil.copy("/usr/lib/grub-rescue/grub-rescue-floppy.img", os.path.join(root, "floppy.img"))
with open(os.path.join(root, "isolinux", "isolinux.cfg"), "w") as f:
    f.write(CONFIG)
subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-o", image, "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
                "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "-J", "-R", root], check=True, stderr=subprocess.DEVNULL)


def width():
    """The width of the screen in pixels, from the PNG file's header."""
    machine.run("screendump", filename=picture, format="png")
    with open(picture, "rb") as f:
        return int.from_bytes(f.read(24)[16:20], "big")


def choose(line, marker):
    global machine
    machine = Machine(calque, ["--memory", "128M", "--cdrom", image, "--serial", "none", "--display", "none", "--clock", "fixed", *options],
                      limit=240)
    machine.wait_for(lambda: width() == 800, "the graphical menu")
    for _ in range(line):
        machine.key("down")
    machine.key("ret")
    machine.wait_text(marker)
    print(machine.screen())
    check(machine.quit() == 0, "quit ends the emulator with status 0")


choose(0, "PCI Devices")
choose(1, "0x0118")
choose(2, "GNU GRUB")
