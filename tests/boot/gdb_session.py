#!/usr/bin/env python3
"""Drives a real gdb through a boot: reset vector, firmware, boot loader, kernel, user program, page fault.   gdb_session.py CALQUE [GDB]"""
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

from guest import check, installer

calque = os.path.abspath(sys.argv[1])
SCRIPT = os.path.join(os.path.dirname(__file__), "../../tools/calque.gdb")
LINUX = os.path.join(os.path.dirname(__file__), "../../tools/calque-linux.py")
gdb = sys.argv[2] if len(sys.argv) > 2 else "gdb"
LIMIT = 60

# A user program: it stores, calls, touches a page that the kernel has not filled yet, and powers the machine off.
PROGRAM = """
bits 64
org 0x400000
ehdr: db 0x7f, "ELF", 2, 1, 1, 0
      dq 0
      dw 2, 62
      dd 1
      dq start, phdr - ehdr, 0
      dd 0
      dw 64, 56, 1, 0, 0, 0
phdr: dd 1, 7
      dq 0, ehdr, ehdr, end - ehdr, 0x10000, 0x1000
times 0x100 - ($ - ehdr) db 0
start:
      mov rax, 0x1122334455667788
      mov ecx, 1000
.loop:
      mov [counter], ecx
      call work
      dec ecx
      jnz .loop
      mov byte [0x408123], 7
      fld1
      movups xmm1, [ehdr]
      mov eax, 169
      mov edi, 0xfee1dead
      mov esi, 672274793
      mov edx, 0x4321fedc
      syscall
      hlt
align 64
work: add rbx, 3
      ret
align 64
counter: dd 0, 0
end:
"""
START, WORK, COUNTER = 0x400100, 0x400180, 0x4001c0


def build_initrd(directory):
    source, init, initrd = (os.path.join(directory, name) for name in ("init.asm", "init", "initrd"))
    with open(source, "w") as f:
        f.write(PROGRAM)
    subprocess.run(["nasm", "-f", "bin", "-o", init, source], check=True)
    os.chmod(init, 0o755)
    with open(initrd, "wb") as f:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"init\n", stdout=f, cwd=directory, check=True)
    with open(init, "rb") as f:
        image = f.read()
    # The same once more as GDB likes it, with names and lines.
    symbols = os.path.join(directory, "init.elf")
    with open(source, "w") as f:
        f.write(PROGRAM.replace("org 0x400000", "global start, work"))
    subprocess.run(["nasm", "-f", "elf64", "-g", "-F", "dwarf", "-o", symbols + ".o", source], check=True)
    subprocess.run(["ld", "-N", "--no-warn-rwx-segments", "-e", "start", "-Ttext", "0x400000", "-o", symbols, symbols + ".o"], check=True)
    return initrd, image, symbols


class Gdb:
    """One gdb, driven line by line: each command's output ends at a marker."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([gdb, "-nx", "-q", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.count, self.text = 0, b""
        for line in ("set pagination off", "set confirm off", "set width 0", "set disassembly-flavor intel", "set remotetimeout 20"):
            self(line)

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def until(self, marker, limit=LIMIT):
        deadline = time.monotonic() + limit
        while marker not in self.text:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                sys.exit(f"FAILED: gdb does not answer\n{self.text[-2000:].decode(errors='replace')}")
            self.text += data
        answer, self.text = self.text.split(marker, 1)
        return answer.decode(errors="replace").replace("(gdb) ", "")

    def __call__(self, line, limit=LIMIT):
        self.count += 1
        self.send(line)
        self.send(f"echo @@{self.count}@@\\n")
        return self.until(f"@@{self.count}@@".encode(), limit)

    def value(self, expression):
        answer = self(f"output/x {expression}")
        match = re.search(r"0x([0-9a-f]+)", answer)
        check(match, f"{expression} has a value", answer)
        return int(match[1], 16)

    def expect(self, line, pattern):
        answer = self(line)
        check(re.search(pattern, answer), f"'{line}' answers {pattern!r}", answer)
        return answer

    def close(self):
        self.send("quit")
        self.process.wait(10)


def run_calque(socket, *options):
    process = subprocess.Popen([calque, "--memory", "256M", "--display", "none", "--serial", "none", "--gdb", f"unix:{socket}", *options],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while not os.path.exists(socket):
        check(process.poll() is None, "the emulator starts", process.stdout.read().decode() if process.poll() is not None else "")
        time.sleep(0.01)
    return process


def there_and_back(g, steps=3):
    """The machine goes back as it has come."""
    before = g.value("$icount"), g.value("$pc"), g("info registers")
    g(f"stepi {steps}")
    check(g.value("$icount") > before[0], "stepi goes forward")
    g(f"reverse-stepi {steps}")
    check((g.value("$icount"), g.value("$pc"), g("info registers")) == before, "reverse-stepi leads to the same state", g("info registers"))


def reset_vector(g):
    check(g.value("$pc") == 0xfffffff0, "the first instruction is at the reset vector", hex(g.value("$pc")))
    g.expect("show architecture", r'currently "i8086"')
    g.expect("x/i $pc", r"=> 0xfffffff0:\s+jmp\s+0xf000:0xe05b")
    check(g.value("$cs") == 0xf000 and g.value("$cs_base") == 0xffff0000 and g.value("$ip") == 0xfff0, "CS has its hidden base")
    g.expect("stepi", r"0x000fe05b")
    check(g.value("$icount") == 1, "one instruction has run")
    g("reverse-stepi")
    check(g.value("$icount") == 0 and g.value("$pc") == 0xfffffff0, "and is undone")
    g("stepi")
    g.expect("info registers cr0", r"ET NW CD")


def real_mode(g):
    """SeaBIOS starts in 16-bit code; breakpoints and steps go by linear addresses."""
    g.expect("x/i $pc", r"=> 0xfe05b:\s+cmp\s+DWORD PTR cs:")
    for _ in range(5):
        before = g.value("$icount")
        g("stepi")
        check(g.value("$icount") == before + 1, "stepi is one instruction")
    check(g.value("$pc") == g.value("$cs_base") + g.value("$ip"), "pc is linear")
    target = int(re.search(r"jmp\s+0x([0-9a-f]+)", g("x/4i $pc"))[1], 16)
    g(f"break *{target}")
    g.expect("continue", rf"Breakpoint .* 0x0*{target:x}")
    check(target > 0xffff and g.value("$code_bits") == 16, "a breakpoint above 64 KiB is met in 16-bit code")
    g("delete")
    there_and_back(g)
    g("set $saved = $eax")
    g("set $eax = 0x12345678")
    check(g.value("$ax") == 0x5678 and g.value("$rax") == 0x12345678, "parts and wholes of a register agree")
    g("set $eax = $saved")
    g.expect("set $pc = 0x1234", r"outside of the code segment")
    # The firmware's way to protected mode.
    g.expect("monitor stop cr 0", r"the machine stops at: cr 0")
    g.expect("continue", r"to CR0")
    g.expect("x/i $pc", r"=> .*mov\s+cr0,e\wx")
    g("monitor clear")
    check(g.value("$cr0 & 1") == 0, "protection is not on yet")


def protected_mode(g):
    g("stepi")
    check(g.value("$cr0 & 1") == 1, "protection is on")
    g.expect("x/i $pc", r"jmp\s+0x8:")
    g("stepi")
    check(g.value("$code_bits") == 32, "a far jump has led to 32-bit code")
    g("reverse-stepi 2")
    check(g.value("$cr0 & 1") == 0 and g.value("$code_bits") == 16, "backwards out of protected mode")
    g("stepi 2")
    g("set architecture i386")
    check("packet" not in g("info registers"), "the architecture changes without complaints")
    g.expect("x/i $pc", r"=> .*mov\s+ecx,0x10")
    check(g.value("$cs_limit") == 0xffffffff and g.value("$pc") == g.value("$ip"), "the segment is flat")
    # The next push or call goes below the stack's top.
    g("set $top = $esp - 4")
    g.expect("watch *(int*)$top", r"Hardware watchpoint")
    g.expect("continue", r"Old value")
    check(g.value("$esp") <= g.value("$top") + 4, "the watchpoint has seen the stack change")
    there_and_back(g)
    g("delete")


def linux_entry(g):
    """The kernel's 64-bit entry behind its decompressor."""
    g("hbreak *0x1000000")
    g.expect("continue", r"Breakpoint")
    check(g.value("$code_bits") == 64 and g.value("$efer & 0x400"), "long mode is active")
    g("set architecture i386:x86-64")
    check(g.value("$rip") == 0x1000000, "the kernel starts where it was loaded")
    there_and_back(g)
    g.expect("x/2i $pc", r"=> 0x1000000:\s+lea\s+rsp,\[rip")
    g("delete")
    g.expect("monitor page 0x1000000", r"PML4 at(?s:.*)is at physical address 0x1000000")
    linear = g.value("*(unsigned long*)0x1000000")
    g("monitor phys on")
    check(g.value("*(unsigned long*)0x1000000") == linear, "physical memory is the same here")
    g("monitor phys off")
    g.expect("monitor xp /2wx 0x1000000", rf"0x{linear & 0xffffffff:08x} 0x{linear >> 32:08x}")
    g.expect("monitor msr 0xc0000080", rf"{g.value('$efer'):016x}")


def detach_and_return(g, socket):
    before = g.value("$icount")
    g("break *0x1000000")
    g.expect("detach", r"detached")
    g.close()
    time.sleep(0.1)
    g = Gdb("-ex", f"target remote {socket}")
    check(g.value("$icount") > before, "the machine has run on by itself")
    return g


def lines_backwards(g, symbols):
    """From inside a function back to its call, and line by line from there; and there again."""
    here = g.value("$icount"), g.value("$pc")
    g(f"symbol-file {symbols}")
    g("stepi")
    g.expect("reverse-finish", r"Run back to call of")
    g.expect("x/i $pc", rf"=> .*call\s+0x{WORK:x} <work>")
    g.expect("reverse-step", r"mov \[counter\], ecx")
    check(g.value("$icount") == here[0] - 2, "reverse-step goes to the beginning of the line before")
    g("step")
    g("next")
    g.expect("x/i $pc", r"=> .*dec\s+ecx")
    g.expect("reverse-next", r"call work")
    check(g.value("$icount") == here[0] - 1, "reverse-next goes back over the whole call")
    g.expect("step", r"work *\(?\)?")
    check((g.value("$icount"), g.value("$pc")) == here, "step goes into it again")
    g("symbol-file")


def user_program(g, image, symbols):
    """Breakpoints, conditions, watchpoints, steps and registers in /init, from its first instruction."""
    g(f"break *{START}")
    g.expect("continue", rf"Breakpoint .* 0x0*{START:x}")
    g("delete")
    check(g.value("$cs & 3") == 3 and g.value("$cpl") == 3 and g.value("$code_bits") == 64, "this is a user program")
    memory = bytes(int(b, 16) for b in re.findall(r"\s0x([0-9a-f]{2})\b", g(f"x/32xb {START}")))
    check(memory == image[0x100:0x120], "memory shows the program's own bytes, not breakpoints", memory.hex())
    g("stepi")
    check(g.value("$rax") == 0x1122334455667788, "MOV has loaded RAX")
    g.expect("x/i $pc", r"=> .*mov\s+ecx,0x3e8")
    g(f"break *{WORK} if $ecx == 500")
    g.expect("continue", r"Breakpoint")
    check(g.value("$ecx") == 500 and g.value("$rbx") == 3 * 500, "the condition has held", g("info registers rcx rbx"))
    g("delete")
    g("stepi 2")
    g.expect("x/i $pc", r"=> .*dec\s+ecx")
    g.expect(f"watch *(int*){COUNTER}", r"Hardware watchpoint")
    answer = g("continue")
    check("Old value = 500" in answer and "New value = 499" in answer, "the watchpoint tells old and new", answer)
    g("delete")
    g.expect(f"rwatch *(int*){COUNTER + 4}", r"Hardware read watchpoint")
    g(f"break *{WORK} if $ecx == 400")
    g.expect("continue", r"Breakpoint")
    check(g.value("$ecx") == 400, "a watchpoint that is not hit does not stop")
    g("delete")
    lines_backwards(g, symbols)
    g("set $rbx = 0xabc")
    g("stepi")
    check(g.value("$rbx") == 0xabf, "a register that was written is used")
    g(f"set *(int*){COUNTER} = 77")
    check(g.value(f"*(int*){COUNTER}") == 77, "memory is written")
    g("set $ecx = 1")


def page_fault(g):
    g.expect("monitor stop exception PF", r"exception 0xe")
    answer = g("continue")
    check("exception 14 #PF, error code 0x6, address 0x408123" in answer and "SIGSEGV" in answer, "the page fault is seen before its delivery", answer)
    check(g.value("$cpl") == 3, "still in user mode")
    g.expect("x/i $pc", r"=> .*mov\s+BYTE PTR ds:0x408123,0x7")
    rip = g.value("$rip")
    g.expect("monitor page 0x408123", r"is not mapped")
    g.expect("x/xb 0x408123", r"Cannot access memory")
    g("monitor clear")
    g("stepi")
    check(g.value("$cpl") == 0 and g.value("$cr2") == 0x408123, "the step ends in the kernel's handler")
    g.expect("monitor interrupts 1", rf"exception 0e #PF at 0033:{rip:x}, error code 6")
    g(f"break *{rip + 8}")
    g.expect("continue", r"Breakpoint")
    check(g.value("*(unsigned char*)0x408123") == 7, "the store has happened")
    g.expect("monitor page 0x408123", r"is at physical address")
    g("delete")
    g("stepi 2")
    g.expect("info registers st0", r"\s1\s")
    check(g.value("$xmm1.v16_int8[1]") == ord("E"), "XMM1 holds the file's start", g("p $xmm1"))


def who_wrote(g):
    """Backwards to the last stores to a variable, to a breakpoint before them, and forward again."""
    here = g.value("$icount")
    for count, old in (400, 77), (401, 401):   # the debugger itself has written 77
        g(f"watch *(int*){COUNTER}")
        answer = g("reverse-continue")
        check(f"Old value = {old}" in answer and f"New value = {count + 1}" in answer, "GDB tells what the variable has become and what it was", answer)
        check(g.value("$icount") < here and g.value("$ecx") == count and g.value(f"*(int*){COUNTER}") == count + 1, "this is before the store")
        g.expect("x/i $pc", rf"=> .*mov\s+DWORD PTR ds:0x{COUNTER:x},ecx")
        g("delete")
    g(f"break *{START}")
    g.expect("reverse-continue", rf"Breakpoint .* 0x0*{START:x}")
    check(g.value("$cpl") == 3, "this is where the program began")
    g("delete")
    g("monitor stop exception PF")
    g.expect("continue", r"address 0x408123")
    check(g.value("$icount") < here, "the fault comes again")
    g("monitor clear")


def linux_symbols(g):
    """The kernel's own symbols, processes and log, from its memory."""
    check(g.value("$cpl") == 3, "the program runs")
    g.expect("info symbol $lstar", r"No symbol matches")
    g(f"source {LINUX}")
    g.expect("lx-symbols", r"\d{5,} symbols; the kernel's code is at 0xffffffff81")
    g.expect("info symbol $lstar", r"entry_SYSCALL_64 in section .text")
    g.expect("lx-version", r"Linux version 6\.")
    g.expect("lx-ps", r"0xffff\w+\s+0 swapper(?s:.*)0xffff\w+\s+1 init\n")
    g.expect("lx-dmesg", r"\[\s+0\.000000\] Linux version (?s:.*)Run /init as init process")
    g.expect("break __do_sys_reboot", r"Breakpoint")
    g.expect("continue", r"Breakpoint .* in __do_sys_reboot")
    check(g.value("$cpl") == 0, "the kernel runs")
    g("delete")


def two_debuggers(socket):
    second = Gdb()
    second.expect(f"target remote {socket}", r"another debugger is attached")
    second.close()


def power_off(g, process):
    g.expect("continue", r"exited normally")
    g.close()
    check(process.wait(LIMIT) == 0, "the emulator ends with status 0")


def whole_boot(directory):
    initrd, image, symbols = build_initrd(directory)
    socket = os.path.join(directory, "boot")
    machine = run_calque(socket, "--wait", *installer("amd64")[:2], "--initrd", initrd, "--append", "nokaslr quiet")
    g = Gdb("-ex", f"target remote {socket}")
    reset_vector(g)
    two_debuggers(socket)
    real_mode(g)
    protected_mode(g)
    linux_entry(g)
    g = detach_and_return(g, socket)
    user_program(g, image, symbols)
    page_fault(g)
    who_wrote(g)
    linux_symbols(g)
    power_off(g, machine)


def grub(directory):
    """A boot loader: its sector in real mode, and its ways into protected mode and back for each call of the firmware."""
    socket = os.path.join(directory, "grub")
    machine = run_calque(socket, "--wait", "--cdrom", "/usr/lib/grub-rescue/grub-rescue-cdrom.iso")
    g = Gdb("-ex", f"target remote {socket}")
    g("hbreak *0x7c00")
    g.expect("continue", r"Breakpoint .* 0x0*7c00")
    check(g.value("$code_bits") == 16 and g.value("$cr0 & 1") == 0, "the boot sector runs in real mode")
    g.expect("x/2i $pc", r"=> 0x7c00:\s+call\s+0x7c03")
    g("delete")
    g("set $top = ($ss_base + $sp) & 0xfffff")
    g("stepi")
    check(g.value("*(unsigned short*)($top - 2)") == 0x7c03, "the call has pushed its return address")
    g("monitor stop cr 0")
    g.expect("continue", r"0x11 to CR0")
    there = g.value("$pc")
    check(0x8000 < there < 0xa000, "GRUB switches the mode", hex(there))
    g.expect("x/i $pc", r"=> .*mov\s+cr0,eax")
    g("stepi 2")
    check(g.value("$code_bits") == 32 and g.value("$cr0 & 1") == 1, "it is in protected mode")
    g.expect("continue", r"0x10 to CR0")
    g("stepi 2")
    check(g.value("$code_bits") == 16 and g.value("$cr0 & 1") == 0, "and back in real mode")
    g("monitor clear")
    g(f"break *{there} if $eax == 0x11")
    for _ in range(3):
        g.expect("continue", rf"Breakpoint .* 0x0*{there:x}")
    g("delete")
    g("set $top = ($ss_base + $sp) & 0xfffff")
    g.expect("watch *(int*)($top - 4)", r"Hardware watchpoint")
    g.expect("continue", r"Old value")
    there_and_back(g)
    g("delete")
    g("hbreak *0x7c00")
    g.expect("reverse-continue", r"Breakpoint .* 0x0*7c00")
    check(g.value("$code_bits") == 16 and g.value("*(unsigned short*)$pc") == 0xe8 and g.value("$cr0 & 1") == 0, "back at the boot sector")
    g.send("kill")
    check(machine.wait(LIMIT) == 0, "kill ends the emulator")
    g.close()


def other_ways(directory):
    """The script that follows the mode, Ctrl-C, non-stop mode, kill."""
    socket = os.path.join(directory, "firmware")
    machine = run_calque(socket, "--wait", "--clock", "host")
    g = Gdb("-x", SCRIPT, "-ex", f"target remote {socket}")
    g("monitor stop cr 0")
    g("continue")
    g.expect("stepi 2", r'set to "i386"')
    g.expect("x/i $pc", r"=> .*mov\s+ecx,0x10")
    g("monitor clear")
    g.send("continue")
    time.sleep(0.3)
    g.process.send_signal(signal.SIGINT)
    check("SIGINT" in g("output 0"), "Ctrl-C stops the machine")
    g("disconnect")
    g("set non-stop on")
    g(f"target extended-remote {socket}")
    g("continue&")
    g.expect("monitor stop", r"no events stop the machine")   # answered while the machine runs
    g("interrupt")
    time.sleep(0.3)
    g.expect("info threads", r'"CPU 0"')
    check(g.value("$icount") > 1000, "it has stopped")
    g.send("kill")
    check(machine.wait(LIMIT) == 0, "kill ends the emulator")
    g.close()
    wrong = subprocess.run([calque, "--wait"], capture_output=True, text=True)
    check(wrong.returncode == 1 and "--gdb" in wrong.stderr, "--wait alone is refused", wrong.stderr)


def invisible(directory):
    """The same instructions and the same state, whatever a debugger looks at."""
    socket = os.path.join(directory, "invisible")
    options = [*installer("amd64"), "--append", "nokaslr", "--stop-at", "100000000", "--state-hash"]
    plain = subprocess.run([calque, "--memory", "256M", "--display", "none", "--serial", "none", *options], capture_output=True, text=True)
    check("hash" in plain.stdout, "a run without a debugger has a hash", plain.stdout + plain.stderr)
    machine = run_calque(socket, "--wait", *options)
    g = Gdb("-ex", f"target remote {socket}")
    g("monitor stop port 0x402")
    for _ in range(20):
        g("continue")
        g("stepi 3")
    g("monitor clear")
    g("set $top = $esp")
    g.expect("watch *(int*)($top - 8)", r"Hardware")
    for _ in range(4):
        g.expect("continue", r"Old value")
    g("delete")
    g("hbreak *0x100000")
    g.expect("continue", r"Breakpoint")
    g("delete")
    g("monitor stop cr 3")
    g.expect("continue", r"to CR3")
    g("monitor clear")
    g("set architecture i386:x86-64")
    g("stepi 3000")
    g("break *$pc if $rax == 0x123456789")
    g("set $top = $rsp")
    g.expect("watch *(int*)($top - 8)", r"Hardware")
    g.expect("continue", r"Old value")
    g("delete")
    g("rwatch *(int*)($top + 0x800000)")
    g("awatch *(int*)($top + 256)")
    g.expect("continue", r"exited normally")
    g.close()
    ours = machine.stdout.read().decode()
    check(plain.stdout in ours, "a debugged run ends in the same state", plain.stdout + ours)


with tempfile.TemporaryDirectory() as work:
    whole_boot(work)
    grub(work)
    other_ways(work)
    invisible(work)
print("ok")
