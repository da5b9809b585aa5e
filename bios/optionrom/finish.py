#!/usr/bin/env python3
"""Completes an option ROM: pads it to 512-byte units, fills in its length and its two checksums.  finish.py IN OUT"""
import sys

rom = bytearray(open(sys.argv[1], "rb").read())
rom += bytes(-(len(rom) + 1) % 512 + 1)
rom[2] = len(rom) // 512
pnp = int.from_bytes(rom[0x1a:0x1c], "little")
assert rom[pnp:pnp + 4] == b"$PnP"
rom[pnp + 9] = -sum(rom[pnp:pnp + 32]) & 0xff
rom[-1] = -sum(rom) & 0xff
open(sys.argv[2], "wb").write(rom)
