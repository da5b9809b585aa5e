"""A debugger as a benchmark needs it: the packets of GDB's remote protocol, without gdb."""
import os
import socket
import time


class Stub:
    def __init__(self, path):
        """Of an emulator that has just been started with --gdb unix:PATH --wait."""
        while not os.path.exists(path):
            time.sleep(0.001)
        self.socket, self.text = socket.socket(socket.AF_UNIX), b""
        self.socket.connect(path)
        self.ask("QStartNoAckMode")
        self.socket.sendall(b"+")

    def send(self, packet):
        self.socket.sendall(b"$%s#%02x" % (packet.encode(), sum(packet.encode()) & 255))

    def answer(self):
        """The next packet; None when the emulator has gone."""
        while True:
            packet, end, rest = self.text.partition(b"#")
            if end and len(rest) >= 2:
                self.text = rest[2:]
                return packet[packet.index(b"$") + 1:].decode()
            data = self.socket.recv(65536)
            if not data:
                return None
            self.text += data

    def ask(self, packet):
        self.send(packet)
        return self.answer()

    def monitor(self, line):
        self.send("qRcmd," + line.encode().hex())
        text = ""
        while (piece := self.answer()) not in ("OK", None):
            text += bytes.fromhex(piece[1:]).decode()
        return text

    def interrupt(self):
        self.socket.sendall(b"\x03")
        return self.answer()
