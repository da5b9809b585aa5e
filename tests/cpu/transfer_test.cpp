// Expected values: SDM vol. 2 (CALL, RET, IRET, SYSCALL...), vol. 3A, chapters "Protection" and "Task Management".
#include "guest.h"

using namespace calque;
using namespace calque::test;

namespace {
u32 call_gate_lo(u16 selector, u32 offset) { return (offset & 0xffff) | u32{selector} << 16; }
u32 call_gate_hi(u32 offset, unsigned dpl, unsigned params, unsigned type = 12) { return (offset & 0xffff0000) | 0x8000 | dpl << 13 | type << 8 | params; }
}  // namespace

TEST_CASE("a call gate to an inner level copies parameters; RETF releases them on both stacks") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user32, "9A 00 00 00 00 60 00"};
        g.put(at::Gdt + sel::Free, call_gate_lo(sel::Code32, 0x12000), 4);
        g.put(at::Gdt + sel::Free + 4, call_gate_hi(0x12000, 3, 2), 4);
        g.code("CA 08 00", 0x12000);
        g.rsp = at::Stack - 8;
        g.put(at::Stack - 8, 0xaaaa, 4), g.put(at::Stack - 4, 0xbbbb, 4);
        g.step();
        CHECK(g.rip() == 0x12000);
        CHECK(g.s().cpl == 0);
        CHECK(g.s().seg[CS].selector == sel::Code32);
        CHECK(g.stack(0, 4) == at::Code + 7);
        CHECK(g.stack(1, 4) == sel::UserCode32);
        CHECK(g.stack(2, 4) == 0xaaaa);
        CHECK(g.stack(3, 4) == 0xbbbb);
        CHECK(g.stack(4, 4) == at::Stack - 8);
        CHECK(g.stack(5, 4) == sel::UserData);
        g.step();
        CHECK(g.rip() == at::Code + 7);
        CHECK(g.s().cpl == 3);
        CHECK(g.rsp == at::Stack);
    }
}

TEST_CASE("gate privileges: #GP(selector)") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user32, "9A 00 00 00 00 60 00"};
        g.put(at::Gdt + sel::Free, call_gate_lo(sel::Code32, 0x12000), 4);
        g.put(at::Gdt + sel::Free + 4, call_gate_hi(0x12000, 0, 0), 4);
        g.step();
        CHECK(g.vector() == 13);
        CHECK(g.stack(0, 4) == sel::Free);
        Guest h{e, Mode::user32, "EA 00 00 00 00 08 00"};   // straight to ring 0 code
        h.step();
        CHECK(h.vector() == 13);
        CHECK(h.stack(0, 4) == sel::Code32);
        Guest k{e, Mode::protected32, "EA 00 00 00 00 08 01"};   // beyond... a descriptor that is not there
        k.s().gdtr.limit = 0xff;
        k.step();
        CHECK(k.vector() == 13);
        CHECK(k.stack(0, 4) == 0x108);
    }
}

TEST_CASE("conforming code runs at the caller's level") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user32, "9A 00 20 01 00 60 00"};
        g.descriptor(sel::Free, 0, 0xffffffff, 0xc09e00);
        g.step();
        CHECK(g.rip() == 0x12000);
        CHECK(g.s().cpl == 3);
        CHECK(g.s().seg[CS].selector == (sel::Free | 3));
        CHECK((g.get(at::Gdt + sel::Free + 4, 4) & 0x100) != 0);   // accessed
    }
}

TEST_CASE("64-bit call gate") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user64, "FF 1C 25 00 00 03 00"};   // call far [30000h]
        g.put(0x30000, 0, 4), g.put(0x30004, sel::Free, 2);
        g.put(at::Gdt + sel::Free, call_gate_lo(sel::Code64, 0x12000), 4);
        g.put(at::Gdt + sel::Free + 4, call_gate_hi(0x12000, 3, 0), 4);
        g.put(at::Gdt + sel::Free + 8, 0, 8);
        g.code("48 CB", 0x12000);
        g.step();
        CHECK(g.rip() == 0x12000);
        CHECK(g.s().cpl == 0);
        CHECK(g.s().seg[SS].selector == 0);
        CHECK(g.rsp == at::Stack0 - 32);
        CHECK(g.stack(0, 8) == at::Code + 7);
        CHECK(g.stack(3, 8) == sel::UserData);
        g.step();
        CHECK(g.rip() == at::Code + 7);
        CHECK(g.rsp == at::Stack);
        CHECK(g.s().cpl == 3);
    }
}

TEST_CASE("real mode far call and return; mode switches by MOV CR0 and a far jump") {
    for (Engine e : engines()) {
        Guest g{e, Mode::real, "9A 00 00 00 12"};
        g.code("CB", 0x12000);
        g.step();
        CHECK(g.s().seg[CS].base == 0x12000);
        CHECK(g.stack(0, 2) == 5);
        g.step();
        CHECK(g.rip() == 5);
        CHECK(g.rsp == 0xfff0);
        Guest h{e, Mode::real, "0F 20 C0 66 83 C8 01 0F 22 C0 66 EA 00 20 01 00 08 00"};
        h.code("B8 78 56 34 12", 0x12000);
        h.step(5);
        CHECK(h.rax == 0x12345678);
        CHECK(h.s().seg[CS].selector == 8);
    }
}

TEST_CASE("unreal mode: limits loaded in protected mode stay") {
    for (Engine e : engines()) {
        Guest g{e, Mode::real, "67 66 8B 03 8E D9 67 66 8B 0B"};
        g.s().seg[DS] = {0, 0x9300, 0xffffffff, 0};
        g.refresh();
        g.rbx = 0x123456, g.put(0x123456, 0xcafe, 4);
        g.step();
        CHECK(g.rax == 0xcafe);
        g.rcx = 0x100;
        g.put(0x124456, 0xbeef, 4);
        g.step(2);
        CHECK(g.rcx == 0xbeef);
    }
}

TEST_CASE("SYSCALL and SYSRET") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user64, "0F 05 90"};
        g.code("48 0F 07", 0x12000);
        g.s().star = u64{0x30 | 3} << 48 | u64{sel::Code64} << 32;
        g.s().lstar = 0x12000, g.s().sfmask = eflags::IF | eflags::DF;
        g.set_flags(0x202 | eflags::DF | eflags::CF);
        g.step();
        CHECK(g.rip() == 0x12000);
        CHECK(g.s().cpl == 0);
        CHECK(g.rcx == at::Code + 2);
        CHECK(g.s().gpr[R11] == (0x203 | eflags::DF));
        CHECK((g.flags() & (eflags::IF | eflags::DF)) == 0);
        CHECK(g.s().seg[SS].selector == sel::Code64 + 8);
        g.step();
        CHECK(g.rip() == at::Code + 2);
        CHECK(g.s().seg[CS].selector == 0x43);
        CHECK(g.s().seg[SS].selector == 0x3b);
        CHECK(g.flags() == (0x203 | eflags::DF));
    }
}

TEST_CASE("SYSENTER and SYSEXIT") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user32, "0F 34"};
        g.code("0F 35", 0x12000);
        g.s().sysenter_cs = 0x100, g.s().sysenter_esp = at::Stack0, g.s().sysenter_eip = 0x12000;
        g.set_flags(0x202);
        g.step();
        CHECK(g.rip() == 0x12000);
        CHECK(g.rsp == at::Stack0);
        CHECK(g.s().seg[SS].selector == 0x108);
        CHECK((g.flags() & eflags::IF) == 0);
        g.rdx = at::Code + 2, g.rcx = at::Stack;
        g.step();
        CHECK(g.rip() == at::Code + 2);
        CHECK(g.s().cpl == 3);
        CHECK(g.s().seg[CS].selector == 0x113);
        CHECK(g.s().seg[SS].selector == 0x11b);
    }
}

namespace {
/// A 32-bit TSS at `at` that starts at `eip`.
void make_tss(Guest& g, u16 selector, u32 at, u32 eip) {
    g.descriptor(selector, at, 0x67, 0x8900);
    for (u32 i = 0; i < 0x68; i += 4) g.put(at + i, 0, 4);
    g.put(at + 0x20, eip, 4), g.put(at + 0x24, 2, 4), g.put(at + 0x38, 0x26000, 4);
    g.put(at + 0x28, 0x1111, 4);   // EAX
    const u16 seg[6] = {sel::Data32, sel::Code32, sel::Data32, sel::Data32, 0, 0};
    for (u32 i = 0; i < 6; ++i) g.put(at + 0x48 + 4 * i, seg[i], 2);
}
}  // namespace

TEST_CASE("task switch by far call, and back by IRET with NT") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "9A 00 00 00 00 60 00 41"};
        make_tss(g, sel::Free, 0x32000, 0x12000);
        g.code("40 CF", 0x12000);
        g.rax = 7;
        g.step();
        CHECK(g.rip() == 0x12000);
        CHECK(g.rax == 0x1111);
        CHECK(g.s().tr.selector == sel::Free);
        CHECK(g.get(0x32000, 2) == sel::Tss);                          // back link
        CHECK((g.flags() & eflags::NT) != 0);
        CHECK((g.s().cr0 & cr0::TS) != 0);
        CHECK((g.get(at::Gdt + sel::Free + 4, 4) & 0x200) != 0);       // both busy
        CHECK((g.get(at::Gdt + sel::Tss + 4, 4) & 0x200) != 0);
        CHECK(g.get(at::Tss + 0x20, 4) == at::Code + 7);
        CHECK(g.get(at::Tss + 0x28, 4) == 7);
        g.step(2);
        CHECK(g.rip() == at::Code + 7);
        CHECK(g.rax == 7);
        CHECK((g.flags() & eflags::NT) == 0);
        CHECK((g.get(at::Gdt + sel::Free + 4, 4) & 0x200) == 0);
        CHECK(g.get(0x32028, 4) == 0x1112);
        CHECK((g.get(0x32024, 4) & eflags::NT) == 0);
    }
}

TEST_CASE("task switch by far jump leaves the old task available; a busy one is #GP") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "EA 00 00 00 00 60 00"};
        make_tss(g, sel::Free, 0x32000, 0x12000);
        g.code("EA 00 00 00 00 60 00", 0x12000);
        g.step();
        CHECK(g.rip() == 0x12000);
        CHECK((g.get(at::Gdt + sel::Tss + 4, 4) & 0x200) == 0);
        CHECK((g.flags() & eflags::NT) == 0);
        g.step();
        CHECK(g.vector() == 13);
        CHECK(g.stack(0, 4) == sel::Free);
    }
}

TEST_CASE("a task gate handles an exception, with its error code on the new stack") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "8E D8"};   // mov ds, ax
        make_tss(g, sel::Free, 0x32000, 0x12000);
        g.code("58 CF", 0x12000);
        g.put(at::Idt + 13 * 8, u32{sel::Free} << 16, 4), g.put(at::Idt + 13 * 8 + 4, 0x8500, 4);
        g.rax = 0xf000;
        g.step();
        CHECK(g.rax == 0xf000);   // popped the error code
        CHECK(g.rip() == 0x12001);
        g.s().gpr[RAX] = 0;
        g.put(at::Tss + 0x28, 0, 4);   // AX of the interrupted task: now a null selector
        g.step(2);
        CHECK(g.rip() == at::Code + 2);
    }
}

TEST_CASE("a bad segment in the new TSS faults in the new task with #TS") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "EA 00 00 00 00 60 00"};
        make_tss(g, sel::Free, 0x32000, 0x12000);
        g.put(0x32000 + 0x54, 0x7f8, 2);   // DS: an empty descriptor
        g.step(2);                          // the jump retires; then the handler's HLT
        CHECK(g.vector() == 10);
        CHECK(g.stack(0, 4) == 0x7f8);
        CHECK(g.stack(1, 4) == 0x12000);
        CHECK(g.s().tr.selector == sel::Free);
    }
}

TEST_CASE("16-bit TSS") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "EA 00 00 00 00 60 00"};
        g.descriptor(sel::Free, 0x32000, 0x2b, 0x8100);
        g.put(0x3200e, 0x40, 2), g.put(0x32010, 2, 2), g.put(0x32012, 0x1234, 2), g.put(0x3201a, 0x100, 2);
        g.put(0x32022, sel::Data16, 2), g.put(0x32024, sel::Code16, 2), g.put(0x32026, sel::Data16, 2), g.put(0x32028, sel::Data16, 2), g.put(0x3202a, 0, 2);
        g.step();
        CHECK(g.rip() == 0x40);
        CHECK(g.rax == 0xffff1234);
        CHECK(g.s().seg[CS].selector == sel::Code16);
    }
}

TEST_CASE("POPF changes what the level may change") {
    struct Row {
        Mode mode;
        const char* code;
        u32 before, popped, after;
    };
    const u32 Iopl = eflags::IOPL, If = eflags::IF;
    const Row rows[] = {
        {Mode::protected32, "9D", 2, Iopl | If | 0xd5 | eflags::AC | eflags::ID, Iopl | If | 0xd7 | eflags::AC | eflags::ID},
        {Mode::user32, "9D", 2 | If, Iopl, 2 | If},                         // CPL > IOPL: IF and IOPL stay
        {Mode::user32, "9D", 2 | Iopl, If, 2 | Iopl | If},                  // IOPL 3: IF yes, IOPL no
        {Mode::user32, "66 9D", 2 | eflags::AC, 0x8d5, 0x8d7 | eflags::AC}, // 16 bits
        {Mode::user64, "9D", 2, If | eflags::VM | eflags::RF | eflags::VIF, 2},
        {Mode::real, "9D", 2, If | Iopl | eflags::NT, 2 | If | Iopl | eflags::NT},
    };
    for (Engine e : engines()) {
        for (const Row& r : rows) {
            Guest g{e, r.mode, r.code};
            CAPTURE(r.popped);
            g.rsp -= 8;
            g.put(g.s().seg[SS].base + g.rsp, r.popped, 8);
            g.set_flags(r.before);
            g.step();
            CHECK(g.flags() == r.after);
        }
        // Virtual-8086 mode: #GP below IOPL 3 without VME; with VME IF is VIF, and TF or a pending VIP faults.
        Guest g{e, Mode::vm86, "9D"};
        g.step();
        CHECK(g.vector() == 13);
        Guest h{e, Mode::vm86, "9D 9C"};
        h.s().cr4 |= cr4::VME;
        h.refresh();
        h.rsp -= 2;
        h.put(0x10000 + h.rsp, 0x200, 2);
        h.step();
        CHECK((h.flags() & (eflags::IF | eflags::VIF)) == eflags::VIF);
        h.step();
        CHECK(h.stack(0, 2) == 0x3202);
        Guest k{e, Mode::vm86, "9D"};
        k.s().cr4 |= cr4::VME;
        k.refresh();
        k.set_flags(2 | eflags::VM | eflags::VIP);
        k.rsp -= 2;
        k.put(0x10000 + k.rsp, 0x200, 2);
        k.step();
        CHECK(k.vector() == 13);
    }
}

TEST_CASE("CLI and STI: IOPL, PVI") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user32, "FA"};
        g.step();
        CHECK(g.vector() == 13);
        Guest h{e, Mode::user32, "FB FA"};
        h.s().cr4 |= cr4::PVI;
        h.refresh();
        h.step();
        CHECK((h.flags() & (eflags::IF | eflags::VIF)) == eflags::VIF);
        h.step();
        CHECK((h.flags() & (eflags::IF | eflags::VIF)) == 0);
    }
}

TEST_CASE("segment loads: null, type, privilege, presence") {
    struct Row {
        Mode mode;
        const char* code;
        u32 attr;
        u16 selector;
        int vector;
        u32 error;
    };
    const Row rows[] = {
        {Mode::protected32, "8E D8", 0xc09300, sel::Free, -1, 0},
        {Mode::protected32, "8E D8", 0xc01300, sel::Free, 11, sel::Free},       // not present
        {Mode::protected32, "8E D0", 0xc01300, sel::Free, 12, sel::Free},       // SS: #SS
        {Mode::protected32, "8E D8", 0xc09900, sel::Free, 13, sel::Free},       // execute-only
        {Mode::protected32, "8E D0", 0xc09100, sel::Free, 13, sel::Free},       // SS read-only
        {Mode::protected32, "8E D0", 0xc09300, 0, 13, 0},                       // SS null
        {Mode::protected32, "8E D8", 0xc09300, 0, -1, 0},                       // DS null
        {Mode::protected32, "8E D0", 0xc09300, sel::Free | 1, 13, sel::Free},   // SS RPL
        {Mode::user32, "8E D8", 0xc09300, sel::Free | 3, 13, sel::Free},        // DPL 0 from CPL 3
        {Mode::user32, "8E D8", 0xc09f00, sel::Free | 3, -1, 0},                // conforming readable code
        {Mode::protected32, "8E D8", 0x008900, sel::Free, 13, sel::Free},       // a TSS
        {Mode::long64, "8E D0", 0xc09300, 0, -1, 0},                            // null SS in 64-bit mode at CPL 0
    };
    for (Engine e : engines()) {
        for (const Row& r : rows) {
            Guest g{e, r.mode, r.code};
            CAPTURE(r.attr);
            CAPTURE(r.selector);
            g.descriptor(sel::Free, 0, 0xffffffff, r.attr);
            g.rax = r.selector;
            g.step();
            CHECK(g.vector() == r.vector);
            if (r.vector > 0) CHECK(g.stack(0, 4) == r.error);
        }
    }
}

TEST_CASE("segment limits, expand-down, null") {
    for (Engine e : engines()) {
        const auto access = [&](u32 limit, u32 attr, u32 offset, const char* code = "8B 03") {
            Guest g{e, Mode::protected32, code};
            g.descriptor(sel::Free, 0, limit, attr);
            g.s().seg[DS] = {sel::Free, attr, limit, 0};
            g.refresh();
            g.rbx = offset;
            g.step();
            return g.vector();
        };
        CHECK(access(0xfff, 0x409300, 0xffc) == -1);
        CHECK(access(0xfff, 0x409300, 0xffd) == 13);
        CHECK(access(0xfff, 0x409700, 0xffc) == 13);     // expand down: above the limit only
        CHECK(access(0xfff, 0x409700, 0x1000) == -1);
        CHECK(access(0xfff, 0x009700, 0xfffd) == 13);    // 16-bit upper bound
        CHECK(access(0xfff, 0x409100, 0, "89 03") == 13);
        CHECK(access(0, 0, 0) == 13);
    }
}

TEST_CASE("LAR, LSL, VERR") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user32, "0F 02 C3 0F 03 CB 0F 00 E3 0F 02 C3"};
        g.rbx = sel::UserData;
        g.rax = 1;
        g.step(3);
        CHECK((g.rax & ~u64{0xf0000}) == 0xc0f300);
        CHECK(g.rcx == 0xffffffff);
        CHECK((g.flags() & eflags::ZF) != 0);
        g.rbx = sel::Data32;   // DPL 0: invisible
        g.step();
        CHECK((g.flags() & eflags::ZF) == 0);
        CHECK((g.rax & ~u64{0xf0000}) == 0xc0f300);
    }
}
