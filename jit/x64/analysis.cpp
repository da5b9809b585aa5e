#include "jit/x64/analysis.h"

#include <algorithm>
#include <climits>

namespace calque::jit::x64 {
namespace {
constexpr unsigned kPartnerWindow = 24, kTargetWindow = 48;

bool is_flags_op(Op op) { return op >= Op::flags_add && op <= Op::flags_sar; }
bool is_zero(const Block& b, Ref r) { return b.code[r].op == Op::constant && b.code[r].imm == 0; }
bool is_shift_by_constant(const Block& b, const Inst& i) {
    return (i.op == Op::shl || i.op == Op::shr || i.op == Op::sar) && b.code[i.b].op == Op::constant && b.code[i.b].imm != 0;
}
/// Ops whose host instruction sets ZF and SF of their result.
bool sets_zero_and_sign(const Block& b, const Inst& i) {
    switch (i.op) {
    case Op::add: case Op::sub: case Op::and_: case Op::or_: case Op::xor_: case Op::neg: return true;
    default: return is_shift_by_constant(b, i);
    }
}

/// True when host flags after `k` answer `j`.
bool makes(const Block& b, Ref k, const Inst& j) {
    const Inst& i = b.code[k];
    if (i.type != j.type && j.op != Op::icmp) return false;
    switch (j.op) {
    case Op::flags_add: return i.op == Op::add && ((i.a == j.a && i.b == j.b) || (i.a == j.b && i.b == j.a));
    case Op::flags_sub: return (i.op == Op::sub && i.a == j.a && i.b == j.b) || (i.op == Op::neg && is_zero(b, j.a) && i.a == j.b);
    case Op::flags_logic: return j.a == k && (i.op == Op::and_ || i.op == Op::or_ || i.op == Op::xor_);
    case Op::flags_shl: return i.op == Op::shl && i.a == j.a && i.b == j.b && is_shift_by_constant(b, i);
    case Op::flags_shr: return i.op == Op::shr && i.a == j.a && i.b == j.b && is_shift_by_constant(b, i);
    case Op::flags_sar: return i.op == Op::sar && i.a == j.a && i.b == j.b && is_shift_by_constant(b, i);
    case Op::icmp: {
        if ((i.op == Op::sub || i.op == Op::flags_sub) && i.type == j.type && i.a == j.a && i.b == j.b) return true;
        const auto c = static_cast<Cmp>(j.aux);
        const bool sign_or_zero = c == Cmp::eq || c == Cmp::ne || c == Cmp::slt || c == Cmp::sge;
        return j.a == k && sign_or_zero && is_zero(b, j.b) && i.type == j.type && sets_zero_and_sign(b, i);
    }
    default: return false;
    }
}
}  // namespace

bool keeps_host_flags(const Inst& i) {
    switch (i.op) {
    case Op::constant: case Op::get: case Op::set: case Op::zext: case Op::sext: case Op::trunc: case Op::insn: case Op::not_: case Op::cond: case Op::select:
        return true;
    case Op::insert: case Op::extract: return i.aux == 0;
    default: return false;
    }
}

void Analysis::run(const Block& b, const Layout& layout, const AnalysisOptions& options) {
    values.assign(b.code.size(), Value{});
    dying.assign(b.code.size(), 0);
    has_fp = false;
    for (const Inst& i : b.code) has_fp |= (info(i.op).effects & Fp) != 0;
    if (options.fuse_flags) find_partners(b);
    count_uses(b);
    if (options.fold_addresses) find_folds(b);
    if (options.targets) find_targets(b, layout);
    for (Ref r = 1; r < values.size(); ++r) {
        Value& v = values[r];
        if (v.last_use == 0) continue;
        v.next_dying = dying[v.last_use];
        dying[v.last_use] = r;
    }
}

void Analysis::find_partners(const Block& b) {
    for (Ref j = 1; j < b.code.size(); ++j) {
        const Inst& i = b.code[j];
        if (!is_flags_op(i.op) && i.op != Op::icmp) continue;
        const Ref first = j > kPartnerWindow ? static_cast<Ref>(j - kPartnerWindow) : Ref{1};
        for (Ref k = static_cast<Ref>(j - 1); k >= first; --k) {
            if (values[k].partner) continue;  // comes for free itself
            if (makes(b, k, i)) {
                values[j].partner = k;
                break;
            }
            if (!keeps_host_flags(b.code[k])) break;
        }
    }
}

void Analysis::count_uses(const Block& b) {
    for (auto n = b.code.size() - 1; n >= 1; --n) {
        const Ref j = static_cast<Ref>(n);
        const Inst& i = b.code[j];
        Value& v = values[j];
        const bool effect = (info(i.op).effects & ~ReadsState) != 0;
        if (!effect && v.uses == 0 && v.next_partner == 0) continue;  // dead: last_use stays 0
        v.value_needed = v.uses != 0;
        v.last_use = std::max(v.last_use, j);
        if (v.partner) {
            Value& p = values[v.partner];
            v.next_partner = p.next_partner;
            p.next_partner = j;
            continue;
        }
        const unsigned args = info(i.op).args;
        for (unsigned a = 0; a < args; ++a) {
            if (!i.arg(a)) continue;
            Value& u = values[i.arg(a)];
            ++u.uses;
            u.last_use = std::max(u.last_use, j);
        }
    }
}

void Analysis::find_folds(const Block& b) {
    const auto constant = [&](Ref r, Type t, i64* out) {
        const Inst& i = b.code[r];
        if (i.op != Op::constant) return false;
        *out = t == Type::I32 ? i64{static_cast<i32>(i.imm)} : static_cast<i64>(i.imm);
        return *out > -(1 << 28) && *out < (1 << 28);
    };
    // A sum that only this access uses.
    const auto foldable = [&](Ref r, Type t) {
        const Inst& i = b.code[r];
        i64 c;
        return values[r].uses == 1 && values[r].next_partner == 0 && i.type == t && (i.op == Op::add || (i.op == Op::sub && constant(i.b, t, &c)));
    };
    for (Ref n = 1; n < b.code.size(); ++n) {
        const Inst& access = b.code[n];
        if (access.op != Op::load && access.op != Op::store) continue;
        Ref top = access.a;
        Type t = Type::I64;
        if (b.code[top].op == Op::zext && values[top].uses == 1 && b.code[b.code[top].a].op != Op::constant && result_type(b.code[b.code[top].a]) == Type::I32 &&
            foldable(b.code[top].a, Type::I32)) {
            values[top].at = At::folded;
            top = b.code[top].a;
            t = Type::I32;
        }
        if (!foldable(top, t)) continue;
        Ref leaves[4];
        unsigned count = 0, constants = 0;
        leaves[count++] = top;
        for (unsigned k = 0; k < count;) {
            const Ref r = leaves[k];
            const Inst& i = b.code[r];
            i64 c;
            if (foldable(r, t)) {
                const bool with_constant = constant(i.b, t, &c);
                if (!with_constant && count == 2) { ++k; continue; }
                if (with_constant && constants == 4) { ++k; continue; }
                values[r].at = At::folded;
                constants += with_constant;
                leaves[k] = i.a;
                if (!with_constant) leaves[count++] = i.b;
                continue;
            }
            ++k;
        }
        bool scaled = false;
        for (unsigned k = 0; k < count; ++k) {
            const Inst& i = b.code[leaves[k]];
            if (!scaled && i.op == Op::shl && i.type == t && values[leaves[k]].uses == 1 && values[leaves[k]].next_partner == 0 &&
                b.code[i.b].op == Op::constant && b.code[i.b].imm <= 3) {
                values[leaves[k]].at = At::folded;
                leaves[k] = i.a;
                scaled = true;
            }
            values[leaves[k]].last_use = std::max(values[leaves[k]].last_use, n);
        }
    }
}

void Analysis::find_targets(const Block& b, const Layout& layout) {
    for (Ref n = 1; n < b.code.size(); ++n) {
        const Inst& set = b.code[n];
        if (set.op != Op::set || set.slot >= layout.pinned) continue;
        Ref d = set.a;
        if (b.code[d].op == Op::zext && result_type(b.code[b.code[d].a]) == Type::I32) d = b.code[d].a;
        const Op op = b.code[d].op;
        if (op == Op::get || op == Op::constant || op == Op::zext || op == Op::trunc || op == Op::icmp || op == Op::cond || values[d].at == At::folded ||
            values[d].target != 0xff || n - d > kTargetWindow) {
            continue;
        }
        bool observed = false;
        for (Ref k = static_cast<Ref>(d + 1); k < n && !observed; ++k) {
            const Inst& i = b.code[k];
            observed = (info(i.op).effects & (MayFault | Call | Terminal)) || ((i.op == Op::get || i.op == Op::set) && i.slot == set.slot);
        }
        if (!observed) values[d].target = set.slot;
    }
}
}  // namespace calque::jit::x64
