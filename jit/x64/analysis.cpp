#include "jit/x64/analysis.h"

#include <algorithm>
#include <climits>

namespace calque::jit::x64 {
namespace {
constexpr unsigned kPartnerWindow = 24;
constexpr int kTargetWindow = 48;

bool is_flags_op(Op op) { return (op >= Op::flags_add && op <= Op::flags_sar) || op == Op::vstr_flags; }
using Code = std::vector<Inst>;
bool is_zero(const Code& b, Ref r) { return b[r].op == Op::constant && b[r].imm == 0; }
bool is_shift_by_constant(const Code& b, const Inst& i) {
    return (i.op == Op::shl || i.op == Op::shr || i.op == Op::sar) && b[i.b].op == Op::constant && b[i.b].imm != 0;
}
/// Ops whose host instruction sets ZF and SF of their result.
bool sets_zero_and_sign(const Code& b, const Inst& i) {
    switch (i.op) {
    case Op::add: case Op::sub: case Op::and_: case Op::or_: case Op::xor_: case Op::neg: return true;
    default: return is_shift_by_constant(b, i);
    }
}

/// True when host flags after `k` answer `j`. `any_shift`: also those of a shift by more than one.
bool makes(const Code& b, Ref k, const Inst& j, bool any_shift) {
    const Inst& i = b[k];
    if (j.op == Op::vstr_flags) return (i.op == Op::vstr_index || i.op == Op::vstr_mask) && i.a == j.a && i.b == j.b && i.c == j.c && ((i.aux ^ j.aux) & ~0x40) == 0;
    if (i.type != j.type && j.op != Op::icmp) return false;
    const auto same_shift = [&] { return i.a == j.a && i.b == j.b && is_shift_by_constant(b, i) && (any_shift || b[i.b].imm == 1); };
    switch (j.op) {
    case Op::flags_add: return i.op == Op::add && ((i.a == j.a && i.b == j.b) || (i.a == j.b && i.b == j.a));
    case Op::flags_sub: return (i.op == Op::sub && i.a == j.a && i.b == j.b) || (i.op == Op::neg && is_zero(b, j.a) && i.a == j.b);
    case Op::flags_logic: return j.a == k && (i.op == Op::and_ || i.op == Op::or_ || i.op == Op::xor_);
    case Op::flags_shl: return i.op == Op::shl && same_shift();
    case Op::flags_shr: return i.op == Op::shr && same_shift();
    case Op::flags_sar: return i.op == Op::sar && same_shift();
    case Op::icmp: {
        if ((i.op == Op::sub || i.op == Op::flags_sub) && i.type == j.type && i.a == j.a && i.b == j.b) return true;
        if (!is_zero(b, j.b) || i.type != j.type) return false;
        // A logic op clears CF and OF, as a comparison with zero does.
        if (i.op == Op::flags_logic && i.a == j.a) return true;
        if (j.a == k && (i.op == Op::and_ || i.op == Op::or_ || i.op == Op::xor_)) return true;
        const auto c = static_cast<Cmp>(j.aux);
        const bool sign_or_zero = c == Cmp::eq || c == Cmp::ne || c == Cmp::slt || c == Cmp::sge;
        return j.a == k && sign_or_zero && sets_zero_and_sign(b, i);
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

X87Form x87_form(const Layout& layout, const Inst* code, const Inst& call) {
    if (!layout.x87 || call.op != Op::call || !call.a) return {};
    const u16 helper = static_cast<u16>(call.imm);
    const Inst& d = code[call.a];
    if (d.op == Op::constant) return layout.x87->form(helper, d.imm);
    // The exponent of a ten-byte operand stands above the descriptor.
    if (d.op != Op::or_) return {};
    for (const Inst* part : {&code[d.a], &code[d.b]}) {
        if (part->op != Op::constant) continue;
        const X87Form f = layout.x87->form(helper, part->imm);
        if (f.source == X87Form::m80) return f;
    }
    return {};
}

const Inst* x87_wide_store(const Inst* code, const Inst& store) {
    if (store.op != Op::store) return nullptr;
    const Inst* part = &code[store.b];
    if (part->op == Op::trunc) part = &code[part->a];
    if (part->op != Op::vextract || code[part->a].op != Op::call) return nullptr;
    return &code[part->a];
}

void Analysis::run(const Block& b, const Layout& layout, const AnalysisOptions& options) {
    code.assign(b.code.begin(), b.code.end());
    end = code.size();
    values.assign(end, Value{});
    groups.clear();
    has_fp = false;
    for (const Inst& i : b.code) has_fp |= (info(i.op).effects & Fp) != 0;
    narrow();
    if (options.share_checks) find_groups(layout);
    dying.assign(end, 0);
    if (options.fuse_flags) find_partners(options.shift_flags);
    count_uses();
    if (options.x87) find_x87(layout);
    if (options.fold_addresses) find_folds();
    if (options.targets) find_targets(layout);
    for (Ref r = 1; r < values.size(); ++r) {
        Value& v = values[r];
        if (v.last_use == 0) continue;
        v.next_dying = dying[v.last_use];
        dying[v.last_use] = r;
    }
}

/// A 64-bit result of which only the low half is used becomes a 32-bit one.
void Analysis::narrow() {
    std::vector<u8> uses(end);
    for (Ref n = 1; n < end; ++n)
        for (unsigned a = 0; a < info(code[n].op).args; ++a) uses[code[n].arg(a)] = static_cast<u8>(std::min(uses[code[n].arg(a)] + 1, 2));
    for (Ref n = 1; n < end; ++n) {
        const Inst& t = code[n];
        if (t.op != Op::trunc || t.type != Type::I32 || uses[t.a] != 1) continue;
        Inst& i = code[t.a];
        if (i.type != Type::I64) continue;
        switch (i.op) {
        case Op::add: case Op::sub: case Op::and_: case Op::or_: case Op::xor_: case Op::mul: case Op::not_: case Op::neg: i.type = Type::I32; break;
        case Op::shl: if (code[i.b].op == Op::constant && code[i.b].imm < 32) i.type = Type::I32; break;
        default: break;
        }
    }
}

namespace {
constexpr i64 kMostSpan = 512;
struct OpenGroup {
    Ref root = 0;
    bool is32 = false, write = false;
    i64 lo = 0, hi = 0, leader_at = 0;
    std::vector<std::pair<Ref, i64>> members;
};
/// What an address is, but for a constant.
struct Place {
    Ref root;
    bool is32;
    i64 at;
};
Place place_of(const Code& code, Ref r) {
    Place p{r, false, 0};
    if (code[r].op == Op::constant) return {0, false, static_cast<i64>(code[r].imm)};
    if (code[r].op == Op::zext && result_type(code[code[r].a]) == Type::I32 && code[code[r].a].op != Op::constant) p.is32 = true, p.root = code[r].a;
    for (;;) {
        const Inst& i = code[p.root];
        if ((i.op != Op::add && i.op != Op::sub) || code[i.b].op != Op::constant || i.type != (p.is32 ? Type::I32 : Type::I64)) return p;
        const i64 c = p.is32 ? static_cast<i32>(code[i.b].imm) : static_cast<i64>(code[i.b].imm);
        if (c <= -(1 << 24) || c >= (1 << 24)) return p;
        p.at += i.op == Op::add ? c : -c;
        p.root = i.a;
    }
}
}  // namespace

void Analysis::find_groups(const Layout& layout) {
    std::vector<OpenGroup> open;
    const auto close = [&] {
        for (const OpenGroup& o : open) {
            if (o.members.size() < 2) continue;
            Group g;
            g.leader = o.members[0].first, g.before = static_cast<i32>(o.leader_at - o.lo), g.span = static_cast<u16>(o.hi - o.lo);
            g.write = o.write, g.is32 = o.is32, g.pointer = static_cast<Ref>(code.size());
            Inst pointer;
            pointer.op = Op::load, pointer.type = Type::I64;
            code.push_back(pointer);
            values.emplace_back();
            values.back().last_use = o.members.back().first;
            groups.push_back(g);
            for (const auto& [r, at] : o.members) values[r].group = static_cast<u16>(groups.size()), values[r].group_at = static_cast<u16>(at - o.lo);
        }
        open.clear();
    };
    for (Ref n = 1; n < end; ++n) {
        const Inst i = code[n];  // a copy: close() moves the code
        // A helper may change mappings, but none does of which the host's x87 can do the work.
        if ((info(i.op).effects & Call) && x87_form(layout, code.data(), i).kind == X87Form::none) close();
        if (i.op != Op::load && i.op != Op::store) continue;
        if (x87_wide_store(code.data(), i)) continue;  // checked together
        const Place p = place_of(code, i.a);
        const i64 first = p.at, last = p.at + bytes(i.type);
        const bool write = i.op == Op::store || (i.aux & 1);
        bool found = false;
        for (OpenGroup& o : open) {
            const i64 lo = std::min(o.lo, first), hi = std::max(o.hi, last);
            if (o.root != p.root || o.is32 != p.is32 || hi - lo > kMostSpan || hi - lo < 0 || o.leader_at - lo > kMostSpan) continue;
            o.lo = lo, o.hi = hi, o.write |= write;
            o.members.emplace_back(n, first);
            found = true;
            break;
        }
        if (found) continue;
        OpenGroup o;
        o.root = p.root, o.is32 = p.is32, o.write = write, o.lo = first, o.hi = last, o.leader_at = first;
        o.members.emplace_back(n, first);
        open.push_back(std::move(o));
        if (open.size() > 8) {
            // The oldest goes: close() wants them all, so it is closed alone.
            std::vector<OpenGroup> rest(std::make_move_iterator(open.begin() + 1), std::make_move_iterator(open.end()));
            open.resize(1);
            close();
            open = std::move(rest);
        }
    }
    close();
}

void Analysis::find_partners(bool any_shift) {
    for (Ref j = 1; j < end; ++j) {
        const Inst& i = code[j];
        if (!is_flags_op(i.op) && i.op != Op::icmp) continue;
        const Ref first = j > kPartnerWindow ? static_cast<Ref>(j - kPartnerWindow) : Ref{1};
        for (Ref k = static_cast<Ref>(j - 1); k >= first; --k) {
            if (values[k].partner) continue;  // comes for free itself
            if (makes(code, k, i, any_shift)) {
                values[j].partner = k;
                break;
            }
            if (!keeps_host_flags(code[k])) break;
        }
    }
}

void Analysis::count_uses() {
    for (auto n = end - 1; n >= 1; --n) {
        const Ref j = static_cast<Ref>(n);
        const Inst& i = code[j];
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
        for (unsigned a = member(j) ? 1 : 0; a < args; ++a) {
            if (!i.arg(a)) continue;
            Value& u = values[i.arg(a)];
            ++u.uses;
            u.last_use = std::max(u.last_use, j);
        }
    }
}

/// x87 instructions read and write memory themselves, at the load or store.
void Analysis::find_x87(const Layout& layout) {
    for (Ref n = 1; n < end; ++n) {
        const X87Form f = x87_form(layout, code.data(), code[n]);
        if (f.kind == X87Form::store) find_x87_store(layout, n);
        else if (f.kind == X87Form::store_wide) find_x87_wide(layout, n);
        else if (f.in_memory() && f.source != X87Form::m80 && find_x87_load(n, f)) values[n].born = true;
    }
}

bool Analysis::find_x87_load(Ref call, const X87Form& f) {
    Ref load = code[call].b, wide = 0;
    if ((code[load].op == Op::zext || code[load].op == Op::sext) && values[load].uses == 1) wide = load, load = code[load].a;
    if (code[load].op != Op::load || code[load].aux || values[load].uses != 1 || bytes(code[load].type) != x87_bytes(f)) return false;
    for (Ref k = static_cast<Ref>(load + 1); k < call; ++k) {
        if (info(code[k].op).effects) return false;
    }
    values[load].x87 = call;
    if (wide) values[wide].at = At::folded;
    return true;
}

void Analysis::find_x87_store(const Layout& layout, Ref made) {
    Ref value = made, store = 0;
    bool early = false;
    for (Ref k = static_cast<Ref>(made + 1); k < end; ++k) {
        const Inst& i = code[k];
        if (i.op == Op::trunc && i.a == made) {
            value = k;
        } else if (i.op == Op::store) {
            if (store || i.b != value) return;
            store = k;
        } else if (i.op == Op::call) {
            if (!store || values[made].uses != 1 || values[value].uses != 1 || x87_form(layout, code.data(), i).kind != X87Form::stored) return;
            values[store].x87 = k;
            values[k].born = true;
            if (value != made) values[value].at = At::folded;
            if (early) values[made].x87 = store;
            else values[made].born = true;
            outlive(made, k);
            return;
        } else if (info(i.op).effects & ~ReadsState) {
            if (store || !(info(i.op).effects & (MayFault | Call))) return;
            early = true;
        }
    }
}

/// The helper of a store's value may be called at the store.
void Analysis::outlive(Ref call, Ref until) {
    for (unsigned a = 0; a < 3; ++a) {
        if (code[call].arg(a)) values[code[call].arg(a)].last_use = std::max(values[code[call].arg(a)].last_use, until);
    }
}

/// Ten bytes in flat memory are stored by one instruction, in the place of the second store.
void Analysis::find_x87_wide(const Layout& layout, Ref made) {
    Ref parts[2]{}, word = 0, first = 0, second = 0;
    for (Ref k = static_cast<Ref>(made + 1); k < end; ++k) {
        const Inst& i = code[k];
        if (i.op == Op::vextract && i.a == made) {
            parts[i.aux & 1] = k;
        } else if (i.op == Op::trunc && i.a == parts[1]) {
            word = k;
        } else if (i.op == Op::store) {
            if (!first && i.b == parts[0]) first = k;
            else if (first && !second && i.b == word) second = k;
            else return;
        } else if (i.op == Op::call) {
            if (!second || values[made].uses != 2 || values[parts[0]].uses != 1 || values[parts[1]].uses != 1 || values[word].uses != 1) return;
            if (x87_form(layout, code.data(), i).kind != X87Form::stored) return;
            values[second].x87 = k, values[k].x87 = first;
            for (Ref r : {made, first, k}) values[r].born = true;
            for (Ref r : {parts[0], parts[1], word}) values[r].at = At::folded;
            outlive(made, k);
            values[code[first].a].last_use = std::max(values[code[first].a].last_use, k);
            return;
        } else if (info(i.op).effects & ~ReadsState) {
            return;
        }
    }
}

void Analysis::find_folds() {
    const auto constant = [&](Ref r, Type t, i64* out) {
        const Inst& i = code[r];
        if (i.op != Op::constant) return false;
        *out = t == Type::I32 ? i64{static_cast<i32>(i.imm)} : static_cast<i64>(i.imm);
        return *out > -(1 << 28) && *out < (1 << 28);
    };
    // A sum that only this access uses.
    const auto foldable = [&](Ref r, Type t) {
        const Inst& i = code[r];
        i64 c;
        return values[r].uses == 1 && values[r].next_partner == 0 && i.type == t && (i.op == Op::add || (i.op == Op::sub && constant(i.b, t, &c)));
    };
    for (Ref n = 1; n < end; ++n) {
        const Inst& access = code[n];
        if ((access.op != Op::load && access.op != Op::store) || member(n) || x87_wide_store(code.data(), access)) continue;
        Ref top = access.a;
        Type t = Type::I64;
        if (code[top].op == Op::zext && values[top].uses == 1 && code[code[top].a].op != Op::constant && result_type(code[code[top].a]) == Type::I32 &&
            foldable(code[top].a, Type::I32)) {
            values[top].at = At::folded;
            top = code[top].a;
            t = Type::I32;
        }
        if (!foldable(top, t)) continue;
        Ref leaves[4];
        unsigned count = 0, constants = 0;
        leaves[count++] = top;
        for (unsigned k = 0; k < count;) {
            const Ref r = leaves[k];
            const Inst& i = code[r];
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
            const Inst& i = code[leaves[k]];
            if (!scaled && i.op == Op::shl && i.type == t && values[leaves[k]].uses == 1 && values[leaves[k]].next_partner == 0 &&
                code[i.b].op == Op::constant && code[i.b].imm <= 3) {
                values[leaves[k]].at = At::folded;
                leaves[k] = i.a;
                scaled = true;
            }
            values[leaves[k]].last_use = std::max(values[leaves[k]].last_use, n);
        }
    }
}

void Analysis::find_targets(const Layout& layout) {
    for (Ref n = 1; n < end; ++n) {
        const Inst& set = code[n];
        if (set.op != Op::set || set.slot >= layout.pinned) continue;
        Ref d = set.a;
        // The last op that makes its bits; what only passes them on shares the register.
        if (code[d].op == Op::zext && result_type(code[code[d].a]) == Type::I32) {
            const Ref inner = code[d].a;
            if (code[inner].op != Op::trunc) d = inner;
            else if (code[code[inner].a].type == Type::I32) d = code[inner].a;
        }
        const Op op = code[d].op;
        if (op == Op::get || op == Op::constant || op == Op::trunc || op == Op::icmp || op == Op::cond || values[d].at == At::folded ||
            values[d].target != 0xff || n - d > kTargetWindow) {
            continue;
        }
        bool observed = false;
        for (Ref k = static_cast<Ref>(d + 1); k < n && !observed; ++k) {
            const Inst& i = code[k];
            observed = (info(i.op).effects & (MayFault | Call | Terminal)) || ((i.op == Op::get || i.op == Op::set) && i.slot == set.slot);
        }
        if (!observed) values[d].target = set.slot;
    }
}
}  // namespace calque::jit::x64
