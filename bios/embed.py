#!/usr/bin/env python3
"""Writes the bytes of a file as a C++ array:  embed.py INPUT OUTPUT.h NAME"""
import sys

source, target, name = sys.argv[1:]
data = open(source, "rb").read()
lines = ["    " + ",".join(str(b) for b in data[i:i + 32]) for i in range(0, len(data), 32)]
with open(target, "w") as out:
    out.write("#pragma once\nnamespace calque {\ninline constexpr unsigned char %s[] = {\n" % name)
    out.write(",\n".join(lines) + "};\n}\n")
