"""For GDB: a running Linux kernel's own symbols, processes and log, without any file of it.

    gdb -x tools/calque.gdb -x tools/calque-linux.py -ex "target remote localhost:1234"
    (gdb) lx-symbols            all functions and variables, also those of modules, wherever KASLR has put them
    (gdb) break do_sys_openat2
    (gdb) lx-ps

The symbols come from the table behind /proc/kallsyms, which the kernel carries (scripts/kallsyms.c in its source says how it is packed);
structures from its BTF (Documentation/bpf/btf.rst). The machine must be in kernel memory's reach: anywhere once the kernel runs, if page tables
are not isolated; else in the kernel. Commands have the names of the kernel's own GDB scripts.
"""
import os
import struct
import tempfile

import gdb

CHUNK = 1 << 18
LONGEST_NAME = 512      # KSYM_NAME_LEN


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def read_what_is_there(start, end):
    """Memory from start to end; pages that are not mapped are zeros."""
    size = end - start
    try:
        if size <= CHUNK:
            return read(start, size)
    except gdb.MemoryError:
        if size <= 4096:
            return bytes(size)
    half = start + (size // 2 & ~0xfff)
    return read_what_is_there(start, half) + read_what_is_there(half, end)


def register(name):
    value = gdb.parse_and_eval("$" + name)
    if value.type.code == gdb.TYPE_CODE_VOID:
        raise gdb.GdbError("there is no machine: connect with \"target remote\" first")
    return int(value) & 0xffffffffffffffff


def c_string(data, at=0):
    return data[at:data.index(b"\0", at)].decode(errors="replace")


def u(data, at, size):
    return int.from_bytes(data[at:at + size], "little")


class Kallsyms:
    """Finds and unpacks the table. `data` is the kernel's image as it lies at `base`."""

    # Digits are tokens of their own in every kernel.
    DIGITS = b"".join(b"%d\0" % n for n in range(10))

    def __init__(self, data, base, pointer):
        self.data, self.base, self.pointer = data, base, pointer
        at = data.find(self.DIGITS)
        while at >= 0:
            if self._at_digits(at):
                return
            at = data.find(self.DIGITS, at + 1)
        raise gdb.GdbError("no kallsyms table in the kernel's memory: it is no Linux, or one without CONFIG_KALLSYMS_ALL")

    def _align(self, at):
        return -(-at // self.pointer) * self.pointer

    def _at_digits(self, at):
        data = self.data
        for _ in range(ord("0")):                     # back to token 0
            at = data.rfind(b"\0", 0, at - 1) + 1
        table = at
        offsets, tokens = [], []
        for _ in range(256):
            offsets.append(at - table)
            end = data.index(b"\0", at)
            tokens.append(data[at:end].decode("latin-1"))
            at = end + 1
        index = self._align(at)
        if data[index:index + 512] != struct.pack("<256H", *offsets):
            return False
        self.tokens, self.after = tokens, self._align(index + 512)
        return self._find_names(table)

    def _find_names(self, table):
        """The names' number, the names, then markers (the place of each 256th name) lie in this order before the tokens."""
        p = self.pointer
        low = max(0, table - (24 << 20)) // p * p
        for i, count in enumerate(struct.unpack_from(f"<{(table - low) // p}{'Q' if p == 8 else 'I'}", self.data, low)):
            names = low + (i + 1) * p
            if 1000 < count < 2000000 and count * 2 < table - names and self._addresses(names, count):
                second = self._skip(names, 256)
                third = self._skip(second, 256)
                markers = self._align(self._skip(names, count)) if third - names < 256 * 256 else table
                if markers < table and struct.unpack_from("<III", self.data, markers) == (0, second - names, third - names) and self._unpack(names, count):
                    return True
        return False

    def _length(self, at):
        """Of the name at `at`, in tokens; and where they begin. Two bytes when the first has its top bit set."""
        n = self.data[at]
        return (n & 0x7f | self.data[at + 1] << 7, at + 2) if n & 0x80 else (n, at + 1)

    def _skip(self, at, names):
        """Behind so many names; or behind the data, when these are no names."""
        for _ in range(names):
            if at + 1 >= len(self.data):
                break
            n, at = self._length(at)
            at += n
        return at

    def _addresses(self, names, count):
        """Where the table of addresses is, and what they are relative to: before the number of names or, since Linux 6.4, behind everything."""
        p, size = self.pointer, self._align(4 * count)
        for table, base in (names - 2 * p - size, names - 2 * p), (self.after, self.after + size):
            relative = u(self.data, base, p)
            if table >= 0 and relative % 4096 == 0 and abs(relative - self.base) < 1 << 26:   # that of the lowest symbol, _text
                return table, relative
        return None

    def _unpack(self, names, count):
        data, p = self.data, self.pointer
        table, relative = self._addresses(names, count)
        offsets = struct.unpack_from(f"<{count}i", data, table)
        # With per-CPU symbols negative ones count from the base and positive ones are absolute.
        per_cpu = sum(o < 0 for o in offsets) > count // 2
        mask = (1 << 8 * p) - 1
        self.symbols = []
        at = names
        for o in offsets:
            n, at = self._length(at)
            name = "".join(self.tokens[b] for b in data[at:at + n])
            at += n
            address = (relative - 1 - o if o < 0 else o) if per_cpu else relative + (o & 0xffffffff)
            self.symbols.append((address & mask, name[0], name[1:]))
        return True


class Btf:
    """Offsets of structure members."""
    INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(1, 20)
    EXTRA = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}          # bytes behind a type's header, and for each of its members
    EACH = {STRUCT: 12, UNION: 12, ENUM: 8, PROTO: 8, DATASEC: 12, ENUM64: 12}

    def __init__(self, data):
        magic, _, _, header, types, types_size, strings, _ = struct.unpack_from("<HBBIIIII", data)
        if magic != 0xeb9f:
            raise gdb.GdbError("the kernel has no BTF, so its structures are not known")
        self.data, self.strings = data, header + strings
        self.types, self.named = [0], {}
        at, end = header + types, header + types + types_size
        while at < end:
            name, info, _ = struct.unpack_from("<III", data, at)
            kind, members = info >> 24 & 31, info & 0xffff
            if kind == self.STRUCT and name:
                self.named.setdefault(self.text(name), len(self.types))
            self.types.append(at)
            at += 12 + self.EXTRA.get(kind, 0) + members * self.EACH.get(kind, 0)

    def text(self, offset):
        return c_string(self.data, self.strings + offset)

    def member(self, path):
        """Offset and size in bytes of "struct.member.member"."""
        name, *members = path.split(".")
        if name not in self.named:
            raise gdb.GdbError(f"this kernel has no struct {name}")
        number, offset = self.named[name], 0
        for m in members:
            found = self._find(number, m)
            if not found:
                raise gdb.GdbError(f"this kernel has no {path}")
            number, offset = found[0], offset + found[1]
        return offset, self.size(number)

    def _resolve(self, number):
        while True:
            at = self.types[number]
            _, info, other = struct.unpack_from("<III", self.data, at)
            if info >> 24 & 31 not in (self.TYPEDEF, self.VOLATILE, self.CONST, self.RESTRICT, self.TYPE_TAG):
                return at, info >> 24 & 31, info, other
            number = other

    def _find(self, number, member):
        at, kind, info, _ = self._resolve(number)
        if kind not in (self.STRUCT, self.UNION):
            return None
        for i in range(info & 0xffff):
            name, inner, bits = struct.unpack_from("<III", self.data, at + 12 + 12 * i)
            offset = (bits & 0xffffff if info >> 31 else bits) // 8
            if name and self.text(name) == member:
                return inner, offset
            if not name:                              # an anonymous structure's members are this one's
                found = self._find(inner, member)
                if found:
                    return found[0], found[1] + offset
        return None

    def size(self, number):
        at, kind, _, size = self._resolve(number)
        if kind == self.PTR:
            return linux.pointer
        if kind == self.ARRAY:
            element, _, count = struct.unpack_from("<III", self.data, at + 12)
            return count * self.size(element)
        return size


class Linux:
    """What is known of the guest's kernel, once looked for."""

    def __init__(self):
        self.symbols = None

    def find(self):
        wide = register("efer") & 0x400
        self.pointer = 8 if wide else 4
        entry = register("lstar") if wide else register("sysenter_eip") & 0xffffffff
        if entry < (0xffffffff80000000 if wide else 0x80000000):
            raise gdb.GdbError("no Linux kernel runs yet: it has not set its system call entry")
        # The image is at most this large on either side of its entry, and begins at a multiple of 2 MiB.
        low, high = (entry & ~0x1fffff) - (32 << 20), (entry & ~0x1fffff) + (64 << 20)
        data = read_what_is_there(max(low, 0xffffffff80000000 if wide else 0x80000000), min(high, (1 << 8 * self.pointer) - 4096))
        self.symbols = Kallsyms(data, entry & ~0x1fffff, self.pointer).symbols
        self.address = {name: address for address, _, name in self.symbols}
        self.btf = None

    def need(self):
        if self.symbols is None:
            self.find()

    def at(self, name):
        self.need()
        if name not in self.address:
            raise gdb.GdbError(f"this kernel has no {name}")
        return self.address[name]

    def member(self, address, path):
        """The value of a member, as a number."""
        if self.btf is None:
            start = self.at("__start_BTF")
            self.btf = Btf(read(start, self.at("__stop_BTF") - start))
        offset, size = self.btf.member(path)
        return int.from_bytes(read(address + offset, size), "little") if address else 0

    def offset(self, path):
        self.member(0, path)
        return self.btf.member(path)[0]

    def text(self, address, path):
        offset, size = self.btf.member(path)
        return c_string(read(address + offset, size) + b"\0")

    def pointer_at(self, address):
        return int.from_bytes(read(address, self.pointer), "little")

    def each(self, head, path):
        """Structures in a list whose head is at `head`, linked through the member."""
        offset = self.offset(path)
        at = self.pointer_at(head)
        for _ in range(100000):
            if at == head or not at:
                return
            yield at - offset
            at = self.pointer_at(at)

    def tasks(self):
        init = self.at("init_task")
        yield init
        yield from self.each(init + self.offset("task_struct.tasks"), "task_struct.tasks")

    def modules(self):
        if "modules" not in self.address:
            return
        for m in self.each(self.at("modules"), "module.list"):
            yield m, self.text(m, "module.name")

    def module_symbols(self, module):
        table = self.member(module, "module.kallsyms")
        if not table:
            return
        count = self.member(table, "mod_kallsyms.num_symtab")
        entry = 24 if self.pointer == 8 else 16
        symtab = read(self.member(table, "mod_kallsyms.symtab"), entry * count)
        last = max((u(symtab, entry * i, 4) for i in range(count)), default=0)
        strings = self.member(table, "mod_kallsyms.strtab")
        names = read_what_is_there(strings, strings + last + LONGEST_NAME) + b"\0"
        types = read(self.member(table, "mod_kallsyms.typetab"), count)
        for i in range(count):
            name = c_string(names, u(symtab, entry * i, 4))
            address = u(symtab, entry * i + (8 if self.pointer == 8 else 4), self.pointer)
            if name and address:
                yield address, chr(types[i]), name


linux = Linux()


def write_elf(path, symbols, pointer, sections):
    """An object file of symbols alone; each belongs to the section (name, start, end) it lies in."""
    wide = pointer == 8
    strings, table = bytearray(b"\0"), bytearray(24 if wide else 16)
    for address, kind, name in symbols:
        section = next((n + 1 for n, (_, start, end) in enumerate(sections) if start <= address < end), 0xfff1)
        info = (2 if kind in "tTwW" else 1) | (0x10 if kind.isupper() else 0)
        at = len(strings)
        strings += name.encode("latin-1") + b"\0"
        table += struct.pack("<IBBHQQ", at, info, 0, section, address, 0) if wide else struct.pack("<IIIBBH", at, address, 0, info, 0, section)
    names = bytearray(b"\0")

    def name_of(text):
        names.extend(text.encode() + b"\0")
        return len(names) - len(text) - 1

    header = 64 if wide else 52
    headers = [(0,) * 10]
    for name, start, end in sections:
        headers.append((name_of(name), 8, 7, start, header, end - start, 0, 0, 16, 0))
    entry = 24 if wide else 16
    headers.append((name_of(".symtab"), 2, 0, 0, header, len(table), len(headers) + 1, 1, pointer, entry))
    headers.append((name_of(".strtab"), 3, 0, 0, header + len(table), len(strings), 0, 0, 1, 0))
    last = name_of(".shstrtab")
    headers.append((last, 3, 0, 0, header + len(table) + len(strings), len(names), 0, 0, 1, 0))
    where = header + len(table) + len(strings) + len(names)
    pack = "<IIQQQQIIQQ" if wide else "<10I"
    with open(path, "wb") as f:
        f.write(b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9))
        f.write(struct.pack("<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH", 2, 62 if wide else 3, 1, 0, 0, where, 0, header, 0, 0, struct.calcsize(pack), len(headers), len(headers) - 1))
        f.write(table + strings + names)
        for h in headers:
            f.write(struct.pack(pack, *h))


class Symbols(gdb.Command):
    """Takes all symbols of the guest's Linux kernel and its modules from its memory: lx-symbols [FILE]
With FILE they are written there too, as /proc/kallsyms has them."""

    def __init__(self):
        super().__init__("lx-symbols", gdb.COMMAND_DATA)

    def invoke(self, argument, _):
        linux.find()
        symbols = list(linux.symbols)
        start, end = linux.at("_stext"), linux.at("_etext")
        sections = [(".text", start, end), (".data", end, max(linux.symbols)[0] + 1)]
        try:
            for module, name in linux.modules():
                # Those that lie elsewhere are per-CPU offsets, or were discarded.
                own = sorted(s for s in linux.module_symbols(module) if abs(s[0] - module) < 16 << 20)
                if own:
                    sections.append((f".{name}", own[0][0], own[-1][0] + 1))
                    symbols += own
        except gdb.GdbError as why:
            print(f"No symbols of modules: {why}.")
        with tempfile.NamedTemporaryFile(suffix=".elf", delete=False) as f:
            path = f.name
        write_elf(path, symbols, linux.pointer, sections)
        gdb.execute(f"symbol-file {path}", to_string=True)
        os.unlink(path)
        if argument:
            with open(argument, "w") as f:
                f.writelines(f"{address:0{2 * linux.pointer}x} {kind} {name}\n" for address, kind, name in sorted(symbols))
        print(f"{len(symbols)} symbols; the kernel's code is at {start:#x}.")


class Version(gdb.Command):
    """Prints the version of the guest's Linux kernel."""

    def __init__(self):
        super().__init__("lx-version", gdb.COMMAND_DATA)

    def invoke(self, *_):
        print(c_string(read(linux.at("linux_banner"), 512)).strip())


class Ps(gdb.Command):
    """Lists the guest's processes: address of the task_struct, pid, name."""

    def __init__(self):
        super().__init__("lx-ps", gdb.COMMAND_DATA)

    def invoke(self, *_):
        linux.need()
        for task in linux.tasks():
            pid = linux.member(task, "task_struct.pid")
            print(f"{task:#0{2 + 2 * linux.pointer}x} {pid:6} {linux.text(task, 'task_struct.comm')}")


class Modules(gdb.Command):
    """Lists the modules of the guest's Linux kernel: address of struct module, name."""

    def __init__(self):
        super().__init__("lx-lsmod", gdb.COMMAND_DATA)

    def invoke(self, *_):
        linux.need()
        for module, name in linux.modules():
            print(f"{module:#0{2 + 2 * linux.pointer}x} {name}")


class Log(gdb.Command):
    """Prints the log of the guest's Linux kernel (since 5.10)."""

    def __init__(self):
        super().__init__("lx-dmesg", gdb.COMMAND_DATA)

    def invoke(self, *_):
        ring = linux.pointer_at(linux.at("prb"))
        m, pointer = linux.member, linux.pointer
        descriptors = ring + linux.offset("printk_ringbuffer.desc_ring")
        text = ring + linux.offset("printk_ringbuffer.text_data_ring")
        count = 1 << m(descriptors, "prb_desc_ring.count_bits")
        size = 1 << m(text, "prb_data_ring.size_bits")
        data = read(m(text, "prb_data_ring.data"), size)
        state, lpos = linux.offset("prb_desc.state_var"), linux.offset("prb_desc.text_blk_lpos")
        each = linux.btf.member("prb_desc")[1], linux.btf.member("printk_info")[1]
        descs = read(m(descriptors, "prb_desc_ring.descs"), each[0] * count)
        infos = read(m(descriptors, "prb_desc_ring.infos"), each[1] * count)
        stamp, length = linux.offset("printk_info.ts_nsec"), linux.offset("printk_info.text_len")
        number, last = m(descriptors, "prb_desc_ring.tail_id"), m(descriptors, "prb_desc_ring.head_id")
        bits = (1 << 8 * pointer) - 1
        while True:
            d, i = number % count * each[0], number % count * each[1]
            # The two top bits of the state: 1 committed, 2 finalized.
            value = u(descs, d + state, pointer)
            if value >> 8 * pointer - 2 in (1, 2) and (value ^ number) << 2 & bits == 0:
                begin, end = u(descs, d + lpos, pointer), u(descs, d + lpos + pointer, pointer)
                if not begin & 1:                         # else there is no text
                    at = begin % size if begin // size == end // size or end % size == 0 else 0
                    line = data[at + pointer:at + pointer + u(infos, i + length, 2)].decode(errors="replace")
                    print(f"[{u(infos, i + stamp, 8) / 1e9:12.6f}] {line}")
            if number == last:
                return
            number = number + 1 & (bits >> 2)


for command in Symbols, Version, Ps, Modules, Log:
    command()
