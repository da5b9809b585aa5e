#!/usr/bin/env python3
"""What --record costs: Debian's installer up to an instruction count, with keys typed over the control socket, with and without it in turn.

  recording.py [--calque PATH] [--count INSTRUCTIONS] [--rounds N]

Prints JSON lines. Times are the processor's for the whole process, as others may use the host too.
"""
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from installer import boot, options



def run_once(command, control):
    """Seconds of the processor."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not os.path.exists(control):
        time.sleep(0.01)
    with socket.socket(socket.AF_UNIX) as keyboard:
        keyboard.connect(control)
        command = lambda name, **arguments: keyboard.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        ended = 0
        try:
            command("qmp_capabilities")
            while not ended:
                command("send-key", keys=[{"type": "qcode", "data": "down"}], **{"hold-time": 20})
                time.sleep(0.1)
                keyboard.setblocking(False)
                try:
                    while keyboard.recv(65536):
                        pass
                    break   # closed
                except BlockingIOError:
                    keyboard.setblocking(True)
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        except (BrokenPipeError, ConnectionResetError):
            pass
        if not ended:
            ended, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"exit status {status}\n{process.stdout.read()[-1000:]}")
    return usage.ru_utime + usage.ru_stime


def main():
    ap = options(__doc__)
    ap.add_argument("--count", type=int, default=2_000_000_000)
    ap.add_argument("--rounds", type=int, default=7)
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        control, recording = folder + "/control", folder + "/a.rec"
        plain = [*boot(a.calque), "--control", "unix:" + control, "--stop-at"]
        full = [*plain, str(a.count)]
        subprocess.run([*plain, "1", "--record", recording], check=True)
        empty = os.path.getsize(recording)
        times = {"plain": [], "record": []}
        for _ in range(a.rounds):
            times["plain"].append(run_once(full, control))
            times["record"].append(run_once([*full, "--record", recording], control))
        for how, t in times.items():
            print(json.dumps({"benchmark": "recording", "how": how, "cpu_seconds": round(statistics.median(t), 3), "min": round(min(t), 3),
                              "max": round(max(t), 3), "rounds": a.rounds}))
        size = os.path.getsize(recording)
        print(json.dumps({"benchmark": "recording", "instructions": a.count, "bytes": size, "bytes_of_the_start": empty,
                          "bytes_per_1000_instructions": round((size - empty) * 1000 / a.count, 5),
                          "overhead": round(statistics.median(times["record"]) / statistics.median(times["plain"]) - 1, 4)}))


main()
