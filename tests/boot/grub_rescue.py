#!/usr/bin/env python3
"""GRUB's rescue images come to their menu and answer at their prompt.   grub_rescue.py CALQUE cdrom|floppy|disk [options of calque ...]"""
import sys
import time

from guest import check
from qmp import Machine

IMAGES = {"cdrom": "grub-rescue-cdrom.iso", "floppy": "grub-rescue-floppy.img", "disk": "grub-rescue-usb.img,readonly=on"}

calque, kind, *options = sys.argv[1:]
machine = Machine(calque, ["--memory", "64M", "--" + kind, "/usr/lib/grub-rescue/" + IMAGES[kind], "--serial", "none", "--display", "none",
                           "--clock", "fixed", *options], limit=240)
machine.wait_text("GNU GRUB")
machine.key("c")
machine.wait_text("grub>")
machine.type("echo answer=4$?\n")
machine.wait_text("\nanswer=40")
machine.type("lsmmap\n")
machine.wait_text("available RAM")
print(machine.screen())
check(machine.quit() == 0, "quit ends the emulator with status 0")
