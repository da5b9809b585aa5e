#!/usr/bin/env python3
"""memtest86+ completes a pass over 16 MB without an error.   memtest.py CALQUE kernel|cdrom FILE [options of calque ...]

A pass ends with two fades of 80 seconds that memtest spends in a loop, which is most of this test's time.
"""
import re
import sys

from guest import check
from qmp import Machine

calque, how, image, *options = sys.argv[1:]
machine = Machine(calque, ["--memory", "16M", "--display", "none", "--serial", "none", "--clock", "fixed", "--" + how, image, *options],
                  limit=1500)
machine.wait_text("Memtest86+")
seen = set()


def passed():
    screen = machine.screen()
    for test in re.findall(r"Test #(\d+)", screen):
        if test not in seen:
            seen.add(test)
            print("test", test, flush=True)
    counts = re.search(r"Pass:\s+(\d+)\s+Errors:\s+(\d+)", screen)
    if counts:
        check(counts[2] == "0", "no errors", screen)
    return counts and int(counts[1]) >= 1 and screen


print(machine.wait_for(passed, "the end of a pass", every=2))
check("10" in seen, "the last test ran", sorted(seen))
check(machine.quit() == 0, "quit ends the emulator with status 0")
