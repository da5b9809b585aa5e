// Cases of several instructions: what a translator does across them. A few registers are kept as pointers into data memory, so that
// every address can be told beforehand.
#include "tests/silicon/maker.h"

namespace calque::silicon {

struct Generator::SequenceMaker {
    const Generator& g;
    Case& c;      // what is made
    Random r;
    Case part;    // one instruction of it

    bool long64() const { return c.mode == CodeMode::long64; }
    bool reserved(int reg) const {
        if (reg == RSP || reg == RBX || reg == RSI || reg == RDI) return true;
        return long64() && (reg == R12 || reg == R13);
    }

    bool usable(Maker& m) const {
        const Insn& in = part.in;
        if (in.rep || in.repne || in.lock) return false;
        if (older_zen() && (in.mn == Mn::BSF || in.mn == Mn::BSR)) return false;   // their flags would be used
        if (m.named({"J", "CALL", "RET", "LOOP", "ENTER", "LEAVE", "POP", "BT", "UD", "FNSAVE", "FNSTENV", "FLDENV", "FRSTOR", "FLDCW", "RCP", "RSQRT", "F2XM1",
                     "FYL2X", "FPATAN", "FPTAN", "FSIN", "FCOS", "XLAT", "LDMXCSR", "MASKMOV"}))
            return in.mn == Mn::POP && in.op[0].kind == Operand::gpr && !reserved(in.op[0].reg);
        const bool both = m.named({"XCHG", "XADD", "MULX"});
        for (unsigned i = 0; i < in.op_count; ++i) {
            const Operand& o = in.op[i];
            const bool written = i == 0 || (both && i == 1);
            if (written && o.kind == Operand::gpr && reserved(o.reg)) return false;
            if (written && o.kind == Operand::gpr_high && o.reg == RBX) return false;
            if (!o.is_mem()) continue;
            if (o.base >= 0 && o.base != 16 && !reserved(o.base)) return false;
            if (o.index >= 0 || (long64() && o.seg == FS)) return false;
            if (o.base < 0 && in.addr_size == 2) return false;
        }
        // Implicit pointers stay what they are only when the address size covers them.
        return !(in.op_count == 0 && m.named({"MOVS", "STOS", "LODS", "CMPS", "SCAS"}) && in.addr_size == 2 && c.mode != CodeMode::prot16);
    }

    /// Most integer: that is where registers and flags flow.
    const RuleForms& any_rule() {
        const bool vector = r.chance(35);
        for (unsigned tries = 0;; ++tries) {
            const RuleForms& rule = g.rules_[r.below(static_cast<u32>(g.rules_.size()))];
            if (rule.vector == vector || tries > 20) return rule;
        }
    }
    /// Memory operands by a reserved register.
    Template by_pointer(Template t) {
        if (!t.has_modrm || t.modrm >= 0xc0) return t;
        static constexpr u8 wide[] = {3, 6, 7}, narrow[] = {4, 5, 7};
        const u8 rm = (c.mode == CodeMode::prot16 ? narrow : wide)[r.below(3)];
        t.modrm = static_cast<u8>((t.modrm & 0xf8) | rm);
        return t;
    }

    /// Appends an instruction that `accept` likes.
    template <class F>
    bool append(F accept) {
        for (unsigned tries = 0; tries < 60; ++tries) {
            const RuleForms& rule = any_rule();
            const Form& form = rule.forms[r.below(static_cast<u32>(rule.forms.size()))];
            part.length = 0;
            Maker m{g, part, Random{r.next()}};
            if (!m.spell(by_pointer(form[r.below(static_cast<u32>(form.size()))])) || !accept(m)) continue;
            c.start[c.count++] = c.length;
            std::memcpy(c.bytes + c.length, part.bytes, part.length);
            c.length = static_cast<u8>(c.length + part.length);
            c.vector |= is_vector(part.in);
            return true;
        }
        return false;
    }

    void registers(Maker& m) {
        for (auto& v : c.gpr) v = r.value();
        const auto middle = [&](Seg seg) { return m.offset_of(where::data + 0x600 + (r.below(0x1400) & ~15u), seg); };
        for (int n : {RBX, RSI, RDI, R12, R13}) c.gpr[n] = middle(DS);
        c.gpr[RSP] = middle(SS) | (r.chance(10) ? 1 : 0);
        if (r.chance(50)) c.gpr[RCX] = r.below(70);
        c.flags = static_cast<u32>(r.next()) & (eflags::Arithmetic | eflags::DF);
        if (!r.chance(20)) c.flags &= ~eflags::DF;
        if (!long64()) for (auto& v : c.gpr) v &= 0xffffffff;
    }

    /// Now that every instruction has its address: displacements that reach data memory, and the branch's target.
    bool settle() {
        for (unsigned n = 0; n < c.count; ++n) {
            const unsigned end = n + 1 < c.count ? c.start[n + 1] : c.length;
            part.length = static_cast<u8>(end - c.start[n]);
            std::memcpy(part.bytes, c.bytes + c.start[n], part.length);
            std::memcpy(part.gpr, c.gpr, sizeof part.gpr);
            Maker m{g, part, Random{r.next()}};
            const auto again = [&] {
                return decode(part.bytes, part.length, c.rip() + c.start[n], jit_mode(c.mode), g.features_, part.in) == Decode::ok && part.in.length == part.length;
            };
            if (!again()) return false;
            for (const Operand& o : part.in.op)
                if (o.is_mem()) {
                    u64 target = where::data + 64 + r.below(where::data_size - 256);
                    if (r.chance(85)) target &= ~u64{15};
                    if (o.base >= 0 && o.base != 16) {
                        if (!m.write_displacement(m.offset_of(target, o.seg) - m.effective(o)) && part.in.modrm >> 6 == 1 && r.chance(80)) m.align_short_displacement();
                    } else {
                        m.aim(o, target);
                    }
                }
            if (!again() || m.splits_lock()) return false;
            c.in = part.in;
            if (n + 1 == c.count && part.in.op[0].kind == Operand::rel && !branch(m)) return false;
            std::memcpy(c.bytes + c.start[n], part.bytes, part.length);
        }
        return true;
    }
    bool branch(const Maker& m) {
        const u64 target = c.code_origin() + (r.chance(50) ? where::pad_after : where::pad_before), delta = target - part.in.next;
        const u8 op = part.in.opcode;
        const unsigned size = (op >= 0x70 && op <= 0x7f) || (op >= 0xe0 && op <= 0xe3) || op == 0xeb ? 1 : m.near_size() == 2 ? 2 : 4;
        if (part.length < size + 1u) return false;
        std::memcpy(part.bytes + part.length - size, &delta, size);
        return decode(part.bytes, part.length, part.in.rip, jit_mode(c.mode), g.features_, part.in) == Decode::ok && part.in.length == part.length;
    }

    bool make() {
        c.count = 0, c.length = 0, c.vector = false;
        part.mode = c.mode, part.fs_base = c.fs_base;
        const unsigned n = 2 + r.below(Case::most - 2);
        while (c.count < n)
            if (!append([&](Maker& m) { return usable(m); })) return false;
        if (r.chance(60) && !append([&](Maker&) { return part.in.op[0].kind == Operand::rel; })) return false;
        Maker m{g, c, Random{r.next()}};
        registers(m);
        if (!settle()) return false;
        if (c.vector) m.fpu_and_sse();
        return true;
    }
};

bool Generator::make_sequence(u64 seed, Case& c) const {
    c.seed = seed;
    c.mode = mode_;
    c.fs_base = fs_base_;
    c.patches = 0;
    SequenceMaker m{*this, c, Random{seed ^ 0x5e0}, {}};
    return m.make();
}
}  // namespace calque::silicon
