#!/usr/bin/env python3
"""How long it takes to go back in the boot of Debian's installer: one instruction, and to who wrote an address last.

  reverse.py [--calque PATH] [--seconds S]     after so many seconds of the boot

Times are seconds of the processor and of the wall, next to those of the run forwards.
"""
import os
import re
import subprocess
import tempfile
import time

from installer import boot, options
from stub import Stub

TICKS = 0x46c              # the firmware's: last written by the boot loader, before paging
NOWHERE = 0x7fff12345678   # never written: all that has been is looked through


def main():
    ap = options(__doc__)
    ap.add_argument("--seconds", type=float, default=8)
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([*boot(a.calque), "--append", "console=ttyS0 rdinit=/bin/sh", "--gdb", f"unix:{folder}/gdb", "--wait"], stdin=subprocess.DEVNULL)
        gdb = Stub(folder + "/gdb")

        def used():
            with open(f"/proc/{process.pid}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        def timed(what, motion):
            wall, cpu = time.monotonic(), used()
            answer = motion()
            wall, cpu = time.monotonic() - wall, used() - cpu
            where = re.search(r"watch:[^;]*|replaylog:[^;]*", answer)
            print(f"{what}: {cpu:.2f} s of the processor, {wall:.2f} s", f"({where[0]})" if where else "", flush=True)

        def forward():
            gdb.send("vCont;c")
            time.sleep(a.seconds)
            return gdb.interrupt()

        timed("forward", forward)
        print(gdb.monitor("history"), end="")
        timed("one instruction back", lambda: gdb.ask("bs"))
        timed("another", lambda: gdb.ask("bs"))
        gdb.ask(f"Z2,{NOWHERE:x},4")
        timed("who wrote what nobody has written", lambda: gdb.ask("bc"))
        gdb.ask(f"z2,{NOWHERE:x},4")
        timed("forward again, and further", forward)
        gdb.ask(f"Z2,{TICKS:x},4")
        timed("who wrote the firmware's tick count", lambda: gdb.ask("bc"))
        gdb.send("k")
        process.wait()


main()
