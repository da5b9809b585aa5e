// The parts that cases are made of: bytes, registers, memory. Used by generate.cpp and sequence.cpp only.
#pragma once
#include <algorithm>
#include <cstring>
#include <string_view>

#include "tests/silicon/generate.h"

namespace calque::silicon {

struct Generator::Maker {
    const Generator& g;
    Case& c;
    Random r;
    u32 disp_at = 0, disp_size = 0;

    bool long64() const { return c.mode == CodeMode::long64; }
    void byte(u8 b) {
        if (c.length < 15) c.bytes[c.length] = b;
        ++c.length;
    }

    // ---- bytes

    void prefixes(const Template& t) {
        const bool group_one_free = t.prefix == 0;
        if (r.chance(6) || (t.gather && c.mode == CodeMode::prot16)) byte(0x67);
        if (r.chance(4)) byte(std::array<u8, 4>{0x26, 0x2e, 0x36, 0x3e}[r.below(4)]);
        if (long64() && t.has_modrm && t.modrm < 0xc0 && r.chance(3)) byte(0x64);
        if (t.vex) return vex(t);
        if (group_one_free && r.chance(3)) byte(0xf0);
        if (t.prefix != 0x66 && t.prefix != 0 && r.chance(2)) byte(0x66);
        if (t.prefix) byte(t.prefix);
        if (!long64()) return;
        const u8 rex = static_cast<u8>(0x40 | (t.wide ? 8 : 0) | (r.chance(50) ? r.below(8) : 0));
        if (rex != 0x40 || r.chance(10)) byte(rex);
    }

    /// Outside of 64-bit code R and X tell VEX from LES and LDS; B and the highest register bit mean nothing.
    void vex(const Template& t) {
        const u8 rxb = static_cast<u8>(r.chance(50) ? 0 : long64() ? r.below(8) : r.below(2));
        const bool shortest = r.chance(50);
        const u8 vvvv = static_cast<u8>(r.chance(20) ? 0 : r.below(long64() || !shortest ? 16 : 8));
        for (u8 b : vex_prefix(t, rxb, vvvv, shortest)) byte(b);
    }

    void opcode_and_operands(const Template& t) {
        if (t.map && !t.vex) byte(0x0f);
        if (t.map == 2 && !t.vex) byte(0x38);
        if (t.map == 3 && !t.vex) byte(0x3a);
        byte(t.opcode);
        if (t.has_modrm) byte(t.modrm);
        while (c.length < 15) byte(static_cast<u8>(r.chance(30) ? r.value() : r.next()));
    }

    bool spell(const Template& t) {
        prefixes(t);
        opcode_and_operands(t);
        return decode_again();
    }
    bool decode_again() {
        // The instruction ends where its page does, so its address depends on its length.
        c.length = 15;
        if (decode(c.bytes, 15, c.rip(), jit_mode(c.mode), g.features_, c.in) != Decode::ok) return false;
        c.length = c.in.length;
        if (decode(c.bytes, 15, c.rip(), jit_mode(c.mode), g.features_, c.in) != Decode::ok) return false;
        return runs_in_user_mode(c.in);
    }

    static bool canonical(u64 a) { return static_cast<u64>(static_cast<i64>(a << 16) >> 16) == a; }

    // ---- registers

    u64 seg_base(Seg seg) const { return long64() ? (seg == FS ? g.fs_base_ : 0) : segments(c.mode)[seg].base; }
    /// What a register or displacement must be to reach a linear address.
    u64 offset_of(u64 linear, Seg seg) const { return long64() ? linear - seg_base(seg) : static_cast<u32>(linear - seg_base(seg)); }
    u64 linear_of(u64 offset, Seg seg) const { return long64() ? offset + seg_base(seg) : static_cast<u32>(offset + seg_base(seg)); }
    u64 data_pointer() { return offset_of(where::data + r.below(where::data_size), DS); }
    u64 stack_pointer() { return offset_of(where::data + (r.below(where::data_size) & ~7u) + (r.chance(10) ? r.below(8) : 0), SS); }
    /// Something in the upper half, which a 16-bit stack does not use.
    u64 above(u64 sp) { return c.mode == CodeMode::prot16 && r.chance(30) ? sp | (r.next() & 0xffff) << 16 : sp; }
    /// A linear address.
    u64 pick_target(unsigned size) {
        const u64 o = where::data;
        const u32 inside = where::data_size - 512;
        const unsigned dice = r.below(200);
        if (dice < 150) return o + 128 + (r.below(inside) & ~u32{15}) + (r.chance(40) ? r.below(16) : 0);
        if (dice < 165) return o + 0x1000 - r.below(size + 16);
        if (dice < 172) return o + where::data_size - r.below(2 * size + 2);
        if (dice < 176) return o + where::data_size + 64 + r.below(0x800);
        if (dice < 180) return o - r.below(2 * size + 2);
        if (dice < 184) return o + 0x3000 + r.below(0xf00);
        if (dice < 185 && long64()) return 0x0000800000000000 + r.next() % 0xffff000000000000;
        return o + 256 + (r.below(inside) & ~u32{63});
    }

    static u64 mask_of(unsigned size) { return size >= 8 ? ~u64{0} : (u64{1} << size * 8) - 1; }
    void set_low(u8 reg, unsigned size, u64 v) { c.gpr[reg] = (c.gpr[reg] & ~mask_of(size)) | (v & mask_of(size)); }
    u64 low(u8 reg, unsigned size) const { return c.gpr[reg] & mask_of(size); }

    void registers() {
        for (auto& v : c.gpr) v = r.value();
        c.gpr[RSP] = above(stack_pointer());
        for (u8 n : {RSI, RDI, RBP, RBX})
            if (r.chance(60)) c.gpr[n] = data_pointer();
        if (r.chance(10)) c.gpr[r.below(16)] = c.gpr[r.below(16)];
        c.flags = static_cast<u32>(r.next()) & (eflags::Arithmetic | eflags::DF);
        if (!r.chance(30)) c.flags &= ~eflags::DF;
        if (g.alignment && r.chance(20)) c.flags |= eflags::AC;
        if (!long64()) for (auto& v : c.gpr) v &= 0xffffffff;
    }

    /// Displacement field of the memory operand, when its place in the bytes can be told.
    bool write_displacement(u64 delta) {
        const unsigned mod = c.in.modrm >> 6, rm = c.in.modrm & 7;
        // Find ModRM: it is the first byte after the opcode, which Insn names.
        unsigned at = 0;
        while (at < c.length && !(c.bytes[at] == c.in.opcode && at + 1 < c.length && c.bytes[at + 1] == c.in.modrm)) ++at;
        at += 2;
        if (c.in.addr_size == 2) {
            if (!(mod == 2 || (mod == 0 && rm == 6)) || at + 2 > c.length) return false;
            u16 old;
            std::memcpy(&old, c.bytes + at, 2);
            old = static_cast<u16>(old + delta);
            std::memcpy(c.bytes + at, &old, 2);
            return true;
        }
        if (at + 4 > c.length) return false;
        const bool sib = rm == 4;
        const bool disp32 = mod == 2 || (mod == 0 && (rm == 5 || (sib && (c.bytes[at] & 7) == 5)));
        if (!disp32) return false;
        at += sib;
        if (at + 4 > c.length) return false;
        u32 old;
        std::memcpy(&old, c.bytes + at, 4);
        old += static_cast<u32>(delta);
        std::memcpy(c.bytes + at, &old, 4);
        return true;
    }

    void align_short_displacement() {
        for (unsigned at = 0; at + 2 < c.length; ++at)
            if (c.bytes[at] == c.in.opcode && c.bytes[at + 1] == c.in.modrm) {
                at += 2 + ((c.in.modrm & 7) == 4 && c.in.addr_size != 2);
                if (at < c.length) c.bytes[at] &= 0xf0;
                return;
            }
    }

    u64 effective(const Operand& o) const {
        u64 ea = o.value;
        if (o.base == 16) ea += c.in.next;
        else if (o.base >= 0) ea += c.gpr[o.base];
        if (o.index >= 0 && !o.vector_index) ea += c.gpr[o.index] * o.scale;
        return ea & mask_of(c.in.addr_size);
    }

    void aim(const Operand& o, u64 target) {
        target = offset_of(target, o.seg);
        const unsigned a = c.in.addr_size;
        if (o.vector_index) {   // vectors.h does the rest
            if (o.base >= 0) set_low(static_cast<u8>(o.base), a, target);
            return;
        }
        if (o.base < 0 && o.index < 0 && a == 8 && c.in.modrm == 0 && c.length >= 10) {   // MOV with a full address
            for (unsigned at = 1; at + 8 <= c.length; ++at)
                if (c.bytes[at - 1] == c.in.opcode) {
                    std::memcpy(c.bytes + at, &target, 8);
                    break;
                }
            return;
        }
        if (o.base < 0 && o.index < 0 && c.in.modrm == 0) {
            for (unsigned at = 1; at + a <= c.length; ++at)
                if (c.bytes[at - 1] == c.in.opcode) {
                    std::memcpy(c.bytes + at, &target, a);
                    break;
                }
            return;
        }
        if (o.base == 16 || (o.base < 0 && o.index < 0)) {
            write_displacement(target - effective(o));
            return;
        }
        if (o.base < 0) {
            c.gpr[o.index] = static_cast<u64>(static_cast<i64>(r.below(0x20000)) - 0x10000);
            if (!write_displacement(target - effective(o))) set_low(static_cast<u8>(o.index), a, (target - o.value) / o.scale);
            return;
        }
        if (o.base == o.index) {
            set_low(static_cast<u8>(o.base), a, (target - o.value) / (o.scale + 1u));
            return;
        }
        set_low(static_cast<u8>(o.base), a, low(static_cast<u8>(o.base), a) + target - effective(o));
    }

    bool named(std::initializer_list<std::string_view> names) const {
        const std::string_view n = mnemonic_name(c.in.mn);
        return std::any_of(names.begin(), names.end(), [&](std::string_view w) { return n.starts_with(w); });
    }

    void memory_operands() {
        for (unsigned i = 0; i < c.in.op_count; ++i) {
            const Operand& o = c.in.op[i];
            if (!o.is_mem()) continue;
            const unsigned size = o.size ? o.size : 16;
            u64 target = pick_target(size);
            if (size >= 16 && r.chance(70)) target &= ~u64{size >= 32 ? 31u : 15u};
            u64 shift = 0;
            const bool bit_string = named({"BT"}) && i == 0 && c.in.op[1].kind == Operand::gpr && c.in.op[0].size <= 8;
            if (bit_string) {
                const unsigned s = c.in.op[1].size;
                const u64 v = low(c.in.op[1].reg, s), sign = u64{1} << (s * 8 - 1);
                const i64 offset = static_cast<i64>((v ^ sign) - sign);
                shift = static_cast<u64>(offset >> (s == 2 ? 4 : s == 4 ? 5 : 6)) * s;
                const bool same = o.base == c.in.op[1].reg || o.index == c.in.op[1].reg;
                if (same) set_low(c.in.op[1].reg, 8, r.below(256)), shift = 0;
                if (same && o.seg == FS) { c.length = 0; return; }
            }
            aim(o, target - shift);
        }
        if (!long64()) for (auto& v : c.gpr) v &= 0xffffffff;
        if (!decode_again() || splits_lock()) c.length = 0;
    }

    /// Locked accesses across cache lines lock the bus: on Intel the kernel makes a program that does that wait each time.
    bool splits_lock() const {
        if (!c.in.lock && c.in.mn != Mn::XCHG) return false;
        if (named({"BT"}) && c.in.op[1].kind == Operand::gpr) return true;   // who knows where
        return std::any_of(std::begin(c.in.op), std::end(c.in.op), [&](const Operand& o) { return o.is_mem() && linear(o) % 64 + o.size > 64; });
    }

    // ---- what particular instructions want

    void put(u64 address, u64 v, unsigned size) {
        const u64 at = address - where::data;
        for (unsigned i = 0; i < size; ++i) {
            const u64 a = at + i;
            if (a >= where::data_size) return;
            const u32 line = static_cast<u32>(a / Line::size);
            u32 k = 0;
            while (k < c.patches && c.patch[k].index != line) ++k;
            if (k == c.patches) {
                if (k == std::size(c.patch)) return;
                ++c.patches;
                c.patch[k].index = line;
                std::memcpy(c.patch[k].bytes.data(), g.base_.bytes + line * Line::size, Line::size);
            }
            c.patch[k].bytes[a % Line::size] = static_cast<u8>(v >> 8 * i);
        }
    }
    u64 peek(u64 address) const {
        const u64 at = address - where::data;
        u64 v = 0;
        for (unsigned i = 0; i < 8; ++i) {
            const u64 a = at + i;
            if (a >= where::data_size) break;
            u8 b = g.base_.bytes[a];
            for (u32 k = 0; k < c.patches; ++k)
                if (c.patch[k].index == a / Line::size) b = c.patch[k].bytes[a % Line::size];
            v |= u64{b} << 8 * i;
        }
        return v;
    }
    u64 linear(const Operand& o) const { return linear_of(effective(o), o.seg); }
    u64 stack_linear() const { return linear_of(low(RSP, stack_width()), SS); }
    unsigned stack_width() const { return long64() ? 8 : segments(c.mode)[SS].big ? 4 : 2; }

    void fresh_memory() {
        for (const auto& o : c.in.op)
            if (o.is_mem() && r.chance(50)) {
                put(linear(o), r.value(), 8);
                for (unsigned more = 8; more < o.size && more < 32; more += 8) put(linear(o) + more, r.value(), 8);
            }
    }

    /// Of a near branch. AMD's processors heed a 66h prefix in 64-bit code, and go to the first 64 KiB, where nothing is.
    unsigned near_size() const { return long64() && !(g.features_.has(Isa::zen) && c.in.op_size == 2) ? 8 : c.in.op_size; }

    /// RIP may only go where the native side waits for it.
    u64 landing() {
        const u64 base = c.code_origin();
        if (r.chance(5)) return base + 0xc00 + r.below(256);          // a filler byte: a breakpoint trap there
        if (r.chance(2)) return flat(c.mode) ? where::hole + 8 : 0x2000 + r.below(100);  // nothing to fetch
        if (r.chance(1) && long64()) return 0x8000000000000000 | r.next();
        return base + (r.chance(50) ? where::pad_after : where::pad_before);
    }

    bool branches() {
        const Operand& o = c.in.op[0];
        if (o.kind == Operand::rel) {
            const u64 target = c.code_origin() + (r.chance(50) ? where::pad_after : where::pad_before);
            const u64 delta = target - c.in.next;
            const unsigned size = c.in.opcode >= 0x70 && c.in.opcode <= 0x7f ? 1 : c.in.opcode >= 0xe0 && c.in.opcode <= 0xe3 ? 1 : c.in.opcode == 0xeb ? 1
                                  : near_size() == 2 ? 2 : 4;
            if (c.length < size + 1u) return false;
            std::memcpy(c.bytes + c.length - size, &delta, size);
            return decode_again();
        }
        if (named({"JMP", "CALL"})) {
            const u64 to = landing();
            if (o.is_mem()) put(linear(o), to, near_size());
            else {
                for (const auto& other : c.in.op)
                    if (other.is_mem()) return true;
                c.gpr[o.reg] = to;
                if (c.in.mn == Mn::CALL && o.reg == RSP) return false;
                if (c.in.mn == Mn::CALL && !canonical(to)) c.gpr[RSP] = offset_of(where::data + 512, SS);
            }
            // Whatever else is there must not be executed: the operand must now be the landing place.
            const u64 now = o.is_mem() ? peek(linear(o)) : c.gpr[o.reg];
            return (now & mask_of(near_size())) == (to & mask_of(near_size())) || linear(o) - where::data >= where::data_size;
        }
        if (c.in.mn == Mn::RET) {
            c.gpr[RSP] = offset_of(pick_target(8), SS);
            const u64 to = landing();
            const unsigned size = near_size();
            put(stack_linear(), to, size);
            const u64 in_page = stack_linear() - where::data;
            return (peek(stack_linear()) & mask_of(size)) == (to & mask_of(size)) || in_page + 8 > where::data_size;
        }
        return true;
    }

    void specials() {
        const unsigned size = c.in.op[0].size;
        if ((c.in.mn == Mn::DIV || c.in.mn == Mn::IDIV) && r.chance(70)) {
            const unsigned w = size == 1 ? 8 : size * 8;
            const bool negative = r.chance(50) && c.in.mn == Mn::IDIV;
            u64 high = negative ? ~u64{0} : 0;
            if (r.chance(50)) high += r.below(64);
            const Operand& o = c.in.op[0];
            const u8 reg = size == 1 ? RAX : RDX;
            if (o.is_mem() && (o.base == reg || o.index == reg)) return;
            if (size == 1) set_low(RAX, 2, (high << w) | (r.value() & 0xff));
            else set_low(RDX, size, high);
        }
        if ((c.in.mn == Mn::CMPXCHG || c.in.mn == Mn::CMPXCHG8B || c.in.mn == Mn::CMPXCHG16B) && r.chance(60)) {
            if (size <= 8 && c.in.mn == Mn::CMPXCHG) {
                const Operand& o = c.in.op[0];
                const u64 v = o.is_mem() ? peek(linear(o)) : c.gpr[o.reg & 15];
                if (!(o.is_mem() && (o.base == RAX || o.index == RAX))) set_low(RAX, size, v);
            } else if (c.in.op[0].is_mem()) {
                const Operand& o = c.in.op[0];
                const unsigned half = c.in.mn == Mn::CMPXCHG8B ? 4 : 8;
                const bool free = o.base != RAX && o.base != RDX && o.index != RAX && o.index != RDX;
                if (free) c.gpr[RAX] = peek(linear(o)) & mask_of(half), c.gpr[RDX] = peek(linear(o) + half) & mask_of(half);
            }
        }
        if (named({"MOVS", "STOS", "LODS", "CMPS", "SCAS"}) && c.in.op_count == 0) strings();
        if (c.in.mn == Mn::XLAT) set_low(RBX, c.in.addr_size, offset_of(pick_target(1), c.in.seg) - (c.gpr[RAX] & 0xff));
        if (named({"ENTER", "LEAVE", "PUSH", "POP", "CALL"})) {
            if (!r.chance(60)) {
                bool used = false;
                for (const auto& o : c.in.op) used |= o.is_mem() && (o.base == RSP || o.base == RBP || o.index == RBP);
                if (!used) c.gpr[RSP] = above(offset_of(pick_target(64), SS)), c.gpr[RBP] = r.chance(50) ? above(offset_of(pick_target(64), SS)) : c.gpr[RBP];
            }
            if (c.in.mn == Mn::ENTER && linear_of(low(RBP, stack_width()), SS) - where::data >= where::data_size) c.gpr[RBP] = above(stack_pointer());
        }
        // TF and AC would catch the way back.
        if (named({"POPF"})) {
            c.gpr[RSP] = offset_of(where::data + 64 + (r.below(where::data_size - 128) & ~7u) + (r.chance(20) ? r.below(8) : 0), SS);
            put(stack_linear(), r.next() & (eflags::Arithmetic | eflags::DF | 2), 8);
        }
    }
    void strings() {
        const bool repeated = c.in.rep || c.in.repne;
        const unsigned a = c.in.addr_size;
        set_low(RSI, a, offset_of(pick_target(8), c.in.seg));
        set_low(RDI, a, offset_of(pick_target(8), ES));
        if (!repeated) return;
        set_low(RCX, a, r.chance(80) ? r.below(40) : r.chance(50) ? r.below(3000) : 0);
        if (r.chance(30)) {   // something to find equal or different
            const u64 v = c.gpr[RAX];
            for (unsigned i = 0; i < 8; ++i) put(linear_of(low(RDI, a), ES) + 8 * i, v, 8);
        }
        if (r.chance(20)) set_low(RSI, a, low(RDI, a) + r.below(32) - 16);
    }

    // ---- x87 and SSE

    u64 double_bits() {
        static constexpr u64 corner[] = {0, 0x8000000000000000, 0x3ff0000000000000, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000,
                                         0x7ff0000000000001, 0x0000000000000001, 0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff,
                                         0x41dfffffffc00000, 0xc1e0000000000000, 0x43e0000000000000, 0xfff4000000001234, 0x3fe0000000000000};
        const unsigned dice = r.below(10);
        if (dice < 3) return corner[r.below(16)];
        if (dice < 7) return (r.next() & 0x800fffffffffffff) | u64{1023 - 40 + r.below(80)} << 52;
        return r.next();
    }
    u32 float_bits() {
        static constexpr u32 corner[] = {0, 0x80000000, 0x3f800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 1, 0x7fffff, 0x800000, 0x7f7fffff,
                                         0x4f000000, 0xcf000000, 0x5f000000, 0xffa01234, 0x3f000000};
        const unsigned dice = r.below(10);
        if (dice < 3) return corner[r.below(16)];
        if (dice < 7) return (static_cast<u32>(r.next()) & 0x807fffff) | (127 - 20 + r.below(40)) << 23;
        return static_cast<u32>(r.next());
    }
    u64 lanes() {
        const unsigned kind = r.below(4);
        if (kind == 0) return double_bits();
        if (kind == 1) return float_bits() | u64{float_bits()} << 32;
        return r.value();
    }
    void extended(FxState::Reg& e) {
        e.sig = r.chance(70) ? r.next() | u64{1} << 63 : r.value();
        e.se = r.chance(70) ? (r.next() & 0x8000) | (16383 - 66 + r.below(132)) : r.next() & 0xffff;
        const unsigned dice = r.below(20);
        if (dice == 0) e.sig = 0, e.se &= 0x8000;
        if (dice == 1) e.sig = u64{1} << 63, e.se |= 0x7fff;
        if (dice == 2) e.sig = 3ull << 62 | r.below(100), e.se |= 0x7fff;
        if (dice == 3) e.sig = 1ull << 63 | 1, e.se |= 0x7fff;
        if (dice == 4) e.sig = r.next() >> 1, e.se &= 0x8000;
        if (dice == 5) e.sig = u64{1} << 63, e.se = (e.se & 0x8000) | (16383 + r.below(64));
    }
    void fpu_and_sse() {
        FxState& f = c.fx;
        f = FxState{};
        f.fcw = static_cast<u16>(r.chance(50) ? 0x37f : 0x7f | (r.below(4) << 8) | (r.below(4) << 10));
        const unsigned top = r.below(8);
        f.fsw = static_cast<u16>(top << 11 | (r.next() & 0x4700) | (r.chance(30) ? r.next() & 0x3f : 0));
        f.ftw = r.chance(70) ? 0xff : static_cast<u8>(r.next());
        f.fop = static_cast<u16>(r.next() & 0x7ff);
        f.fip = r.next() & 0xffffffff, f.fdp = r.next() & 0xffffffff;
        for (auto& e : f.st) extended(e);
        const std::string_view n = mnemonic_name(c.in.mn, c.in.vex);
        if (n.starts_with("FLD") || n.starts_with("FILD") || n.starts_with("FBLD")) {
            if (r.chance(70)) f.ftw &= static_cast<u8>(~(1u << ((top + 7) & 7)));
        }
        f.mxcsr = 0x1f80 | (r.chance(30) ? r.below(4) << 13 : 0) | (r.chance(10) ? 0x8000 : 0) | (r.chance(10) ? 0x40 : 0) | (r.chance(20) ? r.below(64) : 0);
        if (r.chance(15)) {   // some exceptions unmasked; one may be pending already
            f.fcw = static_cast<u16>(f.fcw & ~(r.next() & 0x3f));
            if (r.chance(80)) f.fsw = static_cast<u16>(f.fsw & ~(0x3f & ~f.fcw));
            if (f.fsw & ~f.fcw & 0x3f) f.fsw |= 0x8080;
        }
        if (r.chance(15)) f.mxcsr &= ~(static_cast<u32>(r.next() & 0x3f) << 7);
        for (unsigned k = 0; k < 16; ++k) {
            const unsigned kind = r.below(3);
            const auto one = [&] { return kind == 0 ? double_bits() : kind == 1 ? float_bits() | u64{float_bits()} << 32 : lanes(); };
            f.xmm[k] = {one(), one()};
            if (r.chance(90)) f.high[k] = {one(), one()};
        }
        if (r.chance(15)) {
            const unsigned to = r.below(16), from = r.below(16);
            f.xmm[to] = f.xmm[from], f.high[to] = f.high[from];
        }
        for (const auto& o : c.in.op)
            if (o.is_mem() && r.chance(80)) {
                const u64 at = linear(o);
                if (o.size == 4) put(at, r.chance(70) ? float_bits() : r.next(), 4);
                else if (o.size == 10) {
                    FxState::Reg e;
                    extended(e);
                    put(at, e.sig, 8), put(at + 8, e.se, 2);
                    if (n == "FBLD")
                        for (unsigned i = 0; i < 10; ++i) put(at + i, r.below(10) | r.below(10) << 4, 1);
                } else {
                    put(at, lanes(), 8);
                    for (unsigned more = 8; more < o.size && more < 32; more += 8) put(at + more, lanes(), 8);
                }
            }
    }

    // ---- what particular vector instructions want: vectors.h

    void set_vector(const Operand&, const jit::V128& lo, const jit::V128* hi = nullptr);
    template <class T>
    void cancel(u8 a, u8 b, u8 sum);
    void fused_specials();
    void strings_of_bytes();
    void shift_counts();
    void gather();
    void vector_specials();

    bool make(const Form& form) {
        if (!spell(form[r.below(static_cast<u32>(form.size()))])) return false;
        c.vector = is_vector(c.in);
        registers();
        memory_operands();
        if (c.length == 0) return false;
        specials();
        if (c.vector) fpu_and_sse(), vector_specials();
        else fresh_memory();
        return branches();
    }
};
}  // namespace calque::silicon

#include "tests/silicon/vectors.h"
