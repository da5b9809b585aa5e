#include "random_ir.h"

#include <cstddef>

namespace calque::jit {
namespace {
RandomState& st(void* s) { return *static_cast<RandomState*>(s); }
void note(RandomState& s, u64 v) { s.accesses = (s.accesses ^ v) * 0x100000001b3 + 7; }

// ---- slow paths
bool fits(u64 address, unsigned size) { return address < RandomState::kRam && address + size <= RandomState::kRam; }

void fill(RandomState& s, u64 address, u32 what) {
    if (!s.fill_tlb) return;
    const auto entry = [&](bool write) -> TlbEntry& { return s.tlb.data[tlb_table(what >> 4 & 3, write)][address >> 12 & ((1u << kTlbBits) - 1)]; };
    const u64 page = address & ~u64{4095};
    // Page 3 is read only, page 5 never gets an entry.
    if (page >> 12 == 5) return;
    entry(false).read_tag = page;
    entry(true).write_tag = page >> 12 == 3 ? kNoTag : page;
    entry(false).addend = entry(true).addend = reinterpret_cast<u64>(s.ram);
}

u64 slow_read(void* state, u64 address, u32 what) {
    RandomState& s = st(state);
    const unsigned size = 1u << (what & 7);
    if (address >= RandomState::kDevice && address < RandomState::kDevice + 4096) {
        note(s, address ^ s.x.icount() << 20 ^ what << 8);
        s.x.vec = {s.accesses, ~s.accesses};
        return size < 8 ? s.accesses & ((u64{1} << 8 * size) - 1) : s.accesses;
    }
    if (!fits(address, size) || ((what & 8) && address >> 12 == 3)) {
        s.x.fault = Fault::raise;
        s.raised = address;
        return 0x5555555555555555;
    }
    fill(s, address, what);
    u64 v = 0;
    if (size == 16) std::memcpy(&s.x.vec, s.ram + address, 16);
    else std::memcpy(&v, s.ram + address, size);
    return v;
}
void slow_write(void* state, u64 address, u64 value, u32 what) {
    RandomState& s = st(state);
    const unsigned size = 1u << (what & 7);
    if (address >= RandomState::kDevice && address < RandomState::kDevice + 4096) {
        note(s, address ^ s.x.icount() << 20 ^ (size < 8 ? value & ((u64{1} << 8 * size) - 1) : size == 8 ? value : s.x.vec.lo));
        return;
    }
    if (!fits(address, size) || address >> 12 == 3) {
        s.x.fault = Fault::raise;
        s.raised = address;
        return;
    }
    fill(s, address, what);
    if (size == 16) std::memcpy(s.ram + address, &s.x.vec, 16);
    else std::memcpy(s.ram + address, &value, size);
}
void raise(void* state, u64 code) {
    st(state).x.fault = Fault::raise;
    st(state).raised = code;
}

// ---- helpers
u64 mix(u64 a, u64 b, u64 c) { return (a * 3 ^ b * 5 ^ c * 7) + (a >> 7); }
u64 h_pure(void*, u64 a, u64 b, u64 c) { return mix(a, b, c); }
u64 h_reads(void* s, u64 a, u64, u64) { return a + st(s).r[0] + 3 * st(s).r[4] + st(s).r[12]; }
u64 h_writes(void* s, u64 a, u64 b, u64) {
    st(s).r[1] = a, st(s).r[6] += b, st(s).r[13] ^= a;
    st(s).v[2] = {a, b};
    return a ^ b;
}
u64 h_faults(void* s, u64 a, u64, u64 c) {
    RandomState& g = st(s);
    for (const u64 r : g.r) note(g, r);
    note(g, g.flags);
    note(g, g.x.icount());
    if ((a & 7) == 3) {
        raise(s, c);
        return 0;
    }
    g.r[2] += 5;
    g.flags = static_cast<u16>(fl::One | (a & fl::All));
    return g.r[3];
}
u64 h_time(void* s, u64, u64, u64) {
    note(st(s), st(s).x.icount());
    return st(s).x.icount();
}
u64 h_control(void* s, u64 a, u64, u64) {
    const u32 old = st(s).fp;
    st(s).fp = 0x1f80 | (static_cast<u32>(a) & 0xe03f);
    return old;
}
constexpr u64 bits_of(std::initializer_list<unsigned> slots) {
    u64 m = 0;
    for (const unsigned s : slots) m |= u64{1} << s;
    return m;
}
const HelperInfo kHelpers[] = {
    {"pure", h_pure, 0, 0, 0},
    {"reads", h_reads, bits_of({0, 4, 12}), 0, 0},
    {"writes", h_writes, bits_of({6, 13}), bits_of({1, 6, 13, RandomState::kVec + 2}), 0},
    {"faults", h_faults, bits_of({2, 3}), bits_of({2, RandomState::kFlags}), HelperMayFault},
    {"time", h_time, 0, 0, HelperSeesTime},
    {"control", h_control, bits_of({RandomState::kFp}), bits_of({RandomState::kFp}), 0},
};
constexpr u32 kHelperCount = sizeof kHelpers / sizeof kHelpers[0];

struct Slots {
    SlotInfo all[RandomState::kSlots];
    Slots() {
        for (unsigned n = 0; n < 16; ++n) all[n] = {"r", static_cast<u32>(offsetof(RandomState, r) + 8 * n), Type::I64};
        all[RandomState::kFlags] = {"flags", offsetof(RandomState, flags), Type::I16};
        all[RandomState::kBit] = {"bit", offsetof(RandomState, bit), Type::I8};
        all[RandomState::kFp] = {"fp", offsetof(RandomState, fp), Type::I32};
        for (unsigned n = 0; n < 8; ++n) all[RandomState::kVec + n] = {"v", static_cast<u32>(offsetof(RandomState, v) + 16 * n), Type::V128};
    }
};

// ---- the generator
class Generator {
public:
    Generator(Random& r, const RandomOptions& o, Block& b) : r_{r}, o_{o}, b_{b} {}

    void run() {
        b_.code.emplace_back();
        b_.rip = 0x1000 + r_.below(64) * 16;
        b_.mode = {r_.below(4), r_.one_in(4) ? 0x10000u : 0u};
        const unsigned length = 1 + r_.below(o_.length);
        u64 rip = b_.rip;
        for (unsigned n = 0; n < length && b_.code.size() < 3000; ++n) {
            Inst i;
            i.op = Op::insn, i.imm = rip, i.aux = 3;
            push(i);
            rip += 3;
            ++b_.insn_count;
            for (unsigned k = r_.below(4); k-- > 0;) step();
            if (r_.one_in(2)) guest_like();
        }
        b_.end_rip = rip;
        b_.byte_count = static_cast<u16>(rip - b_.rip);
        terminal();
    }

private:
    Ref push(const Inst& i) {
        b_.code.push_back(i);
        const Ref r = static_cast<Ref>(b_.code.size() - 1);
        const Type t = result_type(i);
        if (t != Type::None) pool_[static_cast<unsigned>(t)].push_back(r);
        return r;
    }
    Ref make(Op op, Type t, Ref a = 0, Ref b = 0, Ref c = 0, u8 aux = 0, u64 imm = 0) {
        Inst i;
        i.op = op, i.type = t, i.a = a, i.b = b, i.c = c, i.aux = aux, i.imm = imm;
        return push(i);
    }
    Ref constant(Type t, u64 v) { return make(Op::constant, t, 0, 0, 0, 0, v & mask(t)); }
    Ref get(u8 slot, Type t) {
        Inst i;
        i.op = Op::get, i.type = t, i.slot = slot;
        return push(i);
    }
    void set(u8 slot, Ref v) {
        Inst i;
        i.op = Op::set, i.type = type(v), i.slot = slot, i.a = v;
        push(i);
    }
    Type type(Ref r) const { return result_type(b_.code[r]); }
    u8 reg() { return static_cast<u8>(r_.one_in(3) ? r_.below(16) : r_.below(5)); }
    Type int_type() { return static_cast<Type>(static_cast<u8>(Type::I8) + r_.below(4)); }

    Ref value(Type t) {
        if (t == Type::V128) {
            auto& p = pool_[static_cast<unsigned>(t)];
            if (p.empty() || r_.one_in(3)) return get(static_cast<u8>(RandomState::kVec + r_.below(8)), t);
            return p[p.size() - 1 - r_.below(static_cast<u32>(std::min<size_t>(p.size(), 12)))];
        }
        if (r_.one_in(5)) return constant(t, r_.interesting(t));
        auto& p = pool_[static_cast<unsigned>(t)];
        if (!p.empty() && !r_.one_in(3)) return p[p.size() - 1 - r_.below(static_cast<u32>(std::min<size_t>(p.size(), 10)))];
        const Ref g = get(reg(), Type::I64);
        return t == Type::I64 ? g : make(Op::trunc, t, g);
    }
    Ref bit() {
        if (!bits_.empty() && r_.one_in(3)) return bits_[bits_.size() - 1 - r_.below(static_cast<u32>(std::min<size_t>(bits_.size(), 4)))];
        Ref b;
        if (r_.one_in(3)) {
            b = make(Op::cond, Type::I8, flags(), 0, 0, static_cast<u8>(r_.below(16)));
        } else {
            const Type t = int_type();
            const Ref x = value(t), y = value(t);
            b = make(Op::icmp, t, x, y, 0, static_cast<u8>(r_.below(10)));
        }
        bits_.push_back(b);
        return b;
    }
    Ref flags() {
        if (!flags_.empty() && !r_.one_in(4)) return flags_[flags_.size() - 1 - r_.below(static_cast<u32>(std::min<size_t>(flags_.size(), 3)))];
        Ref f;
        if (r_.one_in(2)) {
            f = get(RandomState::kFlags, Type::I16);
        } else {
            f = make_flags();
        }
        flags_.push_back(f);
        return f;
    }
    Ref count(Type t) {
        if (r_.one_in(2)) return constant(Type::I8, r_.below(bits(t)));
        const Ref v = value(Type::I8), m = constant(Type::I8, bits(t) - 1);
        return make(Op::and_, Type::I8, v, m);
    }
    Ref make_flags() {
        const Type t = int_type();
        const Ref a = value(t);
        switch (r_.below(8)) {
        case 0: { const Ref b = value(t); return make(Op::flags_add, t, a, b); }
        case 1: { const Ref b = value(t); return make(Op::flags_sub, t, a, b); }
        case 2: { const Ref b = value(t), c = bit(); return make(Op::flags_adc, t, a, b, c); }
        case 3: { const Ref b = value(t), c = bit(); return make(Op::flags_sbb, t, a, b, c); }
        case 4: { const Ref n = count(t); return make(Op::flags_shl, t, a, n); }
        case 5: { const Ref n = count(t); return make(Op::flags_shr, t, a, n); }
        case 6: { const Ref n = count(t); return make(Op::flags_sar, t, a, n); }
        default: return make(Op::flags_logic, t, a);
        }
    }

    Ref address() {
        const Ref m = constant(Type::I64, r_.one_in(8) ? 0x1ffff : 0xffff);
        const Ref v = value(Type::I64);
        Ref a = make(Op::and_, Type::I64, v, m);
        switch (r_.below(7)) {
        case 0: { const Ref c = constant(Type::I64, r_.below(64)); return make(Op::add, Type::I64, a, c); }
        case 1: { const Ref c = constant(Type::I64, u64(-static_cast<i64>(r_.below(64)))); return make(Op::add, Type::I64, a, c); }
        case 2: {
            const Ref x = value(Type::I64), k = constant(Type::I64, 255), i = make(Op::and_, Type::I64, x, k), n = constant(Type::I8, r_.below(4));
            const Ref s = make(Op::shl, Type::I64, i, n);
            const Ref sum = r_.one_in(2) ? make(Op::add, Type::I64, a, s) : make(Op::add, Type::I64, s, a);
            if (r_.one_in(2)) return sum;
            const Ref c = constant(Type::I64, r_.below(300));
            return make(Op::add, Type::I64, sum, c);
        }
        case 3: case 4: {  // 32-bit sums that wrap
            const Ref lo = make(Op::trunc, Type::I32, a), c = constant(Type::I32, r_.below(64) - 32u);
            Ref s = make(Op::add, Type::I32, lo, c);
            if (r_.one_in(2)) {
                const Ref x = value(Type::I32), k = constant(Type::I32, 255), i = make(Op::and_, Type::I32, x, k), n = constant(Type::I8, r_.below(4));
                const Ref sh = make(Op::shl, Type::I32, i, n);
                s = make(Op::add, Type::I32, s, sh);
            }
            return make(Op::zext, Type::I64, s);
        }
        case 5: { const Ref c = constant(Type::I64, 8); return make(Op::sub, Type::I64, a, c); }
        default: return a;
        }
    }
    /// Fields of a structure: accesses at constant distances.
    void fields() {
        const Type t = r_.one_in(3) ? Type::I32 : Type::I64;
        const Ref m = constant(t, 0xffff), v = value(t);
        Ref base = make(Op::and_, t, v, m);
        if (r_.one_in(3)) { const Ref k = constant(t, 0x20000), o = constant(t, u64(-0x20000)); base = make(Op::add, t, base, k), base = make(Op::add, t, base, o); }
        for (unsigned n = 2 + r_.below(5); n-- > 0;) {
            const Ref c = constant(t, r_.one_in(6) ? r_.below(4096) : r_.below(80));
            Ref a = make(r_.one_in(3) ? Op::sub : Op::add, t, base, c);
            if (t == Type::I32) a = make(Op::zext, Type::I64, a);
            if (r_.one_in(4)) base = a, t == Type::I32 ? base = make(Op::trunc, t, a) : base;
            const Type w = access_type();
            if (r_.one_in(2)) {
                const Ref x = make(Op::load, w, a, 0, 0, r_.one_in(5));
                if (w == Type::I64 && r_.one_in(2)) set(reg(), x);
            } else {
                const Ref x = value(w);
                make(Op::store, w, a, x);
            }
            if (r_.one_in(6)) step();
        }
    }
    Type access_type() { return o_.vectors && r_.one_in(6) ? Type::V128 : int_type(); }

    void step() {
        if (o_.memory && r_.one_in(25)) return fields();
        switch (r_.below(20)) {
        case 0: case 1: set(reg(), value(Type::I64)); break;
        case 2: case 3: case 4: arithmetic(); break;
        case 5: shift(); break;
        case 6: widths(); break;
        case 7: bit(); break;
        case 8: { const Type t = o_.vectors && r_.one_in(5) ? Type::V128 : int_type(); const Ref c = bit(), x = value(t), y = value(t); make(Op::select, t, c, x, y); break; }
        case 9: { const Ref f = make_flags(); flags_.push_back(f); if (r_.one_in(2)) set(RandomState::kFlags, f); break; }
        case 10: { const Ref a = flags(), b = flags(); flags_.push_back(make(Op::flag_merge, Type::I16, a, b, 0, 0, r_.next() & fl::All)); break; }
        case 11: set(RandomState::kFlags, flags()); break;
        case 12: case 13: if (o_.memory) { const Ref a = address(); make(Op::load, access_type(), a, 0, 0, r_.one_in(4)); } break;
        case 14: if (o_.memory) { const Ref a = address(); const Type t = access_type(); const Ref v = value(t); make(Op::store, t, a, v); } break;
        case 15: if (o_.calls && r_.one_in(2)) call(); break;
        case 16: if (r_.one_in(6)) make(Op::guard, Type::None, bit(), 0, 0, 0, fault_code(static_cast<u8>(r_.below(32)), 5)); break;
        case 17: case 18: if (o_.vectors) vector(); break;
        case 19: set(RandomState::kBit, r_.one_in(2) ? bit() : value(Type::I8)); break;
        }
    }

    void call() {
        const u64 helper = r_.below(kHelperCount);
        Ref args[3];
        for (Ref& a : args) a = r_.one_in(4) ? Ref{0} : value(int_type());
        if (r_.one_in(2)) {
            make(Op::call, r_.one_in(3) ? Type::None : int_type(), args[0], args[1], args[2], 0, helper);
        } else {
            Inst i;
            i.op = Op::call_if, i.a = bit(), i.b = args[0], i.c = args[1], i.d = args[2], i.imm = helper;
            push(i);
        }
    }

    void arithmetic() {
        static constexpr Op ops[] = {Op::add, Op::sub, Op::and_, Op::or_, Op::xor_, Op::mul, Op::mul_hi_u, Op::mul_hi_s, Op::add, Op::sub,
                                     Op::not_, Op::neg, Op::bswap, Op::clz, Op::ctz, Op::popcount, Op::deposit_bits, Op::extract_bits, Op::div_u, Op::rem_u, Op::div_s, Op::rem_s};
        if (r_.one_in(24)) {
            const Ref crc = value(Type::I32), data = value(int_type());
            make(Op::crc32c, Type::I32, crc, data);
            return;
        }
        const Op op = ops[r_.below(sizeof ops / sizeof ops[0])];
        Type t = int_type();
        if (op == Op::bswap && t == Type::I8) t = Type::I32;
        const Ref a = value(t);
        Ref b = info(op).args > 1 ? value(t) : Ref{0};
        if (op >= Op::div_u && op <= Op::rem_s) {
            const Ref m = constant(t, mask(t) >> 1), one = constant(t, 1);
            b = make(Op::and_, t, b, m);
            b = make(Op::or_, t, b, one);
        }
        make(op, t, a, b);
    }
    void shift() {
        const Type t = int_type();
        const Ref a = value(t), n = count(t);
        make(static_cast<Op>(static_cast<u8>(Op::shl) + r_.below(5)), t, a, n);
    }
    void widths() {
        const Type t = int_type();
        switch (r_.below(5)) {
        case 0: if (t < Type::I64) { const Ref v = value(t); make(Op::zext, static_cast<Type>(static_cast<u8>(t) + 1 + r_.below(4u - static_cast<u8>(t))), v); } break;
        case 1: if (t < Type::I64) { const Ref v = value(t); make(Op::sext, static_cast<Type>(static_cast<u8>(t) + 1 + r_.below(4u - static_cast<u8>(t))), v); } break;
        case 2: if (t > Type::I8) { const Ref v = value(t); make(Op::trunc, static_cast<Type>(static_cast<u8>(t) - 1 - r_.below(static_cast<u8>(t) - 1u)), v); } break;
        case 3: {
            const Type small = r_.one_in(2) ? Type::I8 : int_type();
            if (bits(small) > bits(t)) break;
            const Ref v = value(t);
            const unsigned room = bits(t) - bits(small);
            make(Op::extract, small, v, 0, 0, static_cast<u8>(r_.one_in(2) && room >= 8 ? 8 : r_.below(room + 1)));
            break;
        }
        default: {
            const Type small = r_.one_in(2) ? Type::I8 : int_type();
            if (bits(small) > bits(t)) break;
            const Ref v = value(t), w = value(small);
            const unsigned room = bits(t) - bits(small);
            make(Op::insert, t, v, w, 0, static_cast<u8>(r_.one_in(3) && room >= 8 ? 8 : r_.one_in(2) ? 0 : r_.below(room + 1)));
        }
        }
    }

    /// What lifting makes of common instructions.
    void guest_like() {
        const u8 d = reg(), s = reg();
        const Type t = int_type();
        const Ref whole = get(d, Type::I64);
        const Ref a = t == Type::I64 ? whole : make(Op::trunc, t, whole);
        Ref b;
        if (o_.memory && r_.one_in(3)) {
            b = make(Op::load, t, address());
        } else if (r_.one_in(3)) {
            b = constant(t, r_.interesting(t));
        } else {
            const Ref g = get(s, Type::I64);
            b = t == Type::I64 ? g : make(Op::trunc, t, g);
        }
        static constexpr Op ops[] = {Op::add, Op::sub, Op::and_, Op::xor_, Op::or_};
        const unsigned k = r_.below(5);
        const bool compare = r_.one_in(4);
        const Ref result = compare && k == 1 ? Ref{0} : make(ops[k], t, a, b);
        const Ref f = k == 0 ? make(Op::flags_add, t, a, b) : k == 1 ? make(Op::flags_sub, t, a, b) : make(Op::flags_logic, t, result);
        if (!compare) {
            const Ref wide = t == Type::I64 ? result : t == Type::I32 ? make(Op::zext, Type::I64, result) : make(Op::insert, Type::I64, whole, result, 0, t == Type::I8 && r_.one_in(3) ? 8 : 0);
            set(d, wide);
        }
        flags_.push_back(f);
        if (!r_.one_in(4)) set(RandomState::kFlags, f);
        if (r_.one_in(2)) {
            Ref c = 0;
            if (r_.one_in(2)) c = make(Op::cond, Type::I8, f, 0, 0, static_cast<u8>(r_.below(16)));
            else if (k == 1) c = make(Op::icmp, t, a, b, 0, static_cast<u8>(r_.below(10)));
            else if (result) { const Ref z = constant(t, 0); c = make(Op::icmp, t, result, z, 0, static_cast<u8>(r_.below(10))); }
            if (c) bits_.push_back(c);
        }
    }

    Ref vec(Op op, Lane lane, Ref a = 0, Ref b = 0, u8 aux = 0, Type t = Type::V128, Ref c = 0) {
        Inst i;
        i.op = op, i.type = t, i.slot = static_cast<u8>(lane), i.a = a, i.b = b, i.c = c, i.aux = aux;
        return push(i);
    }
    Lane lane(unsigned first, unsigned last) { return static_cast<Lane>(first + r_.below(last - first + 1)); }
    void vector() {
        const Ref a = value(Type::V128);
        if (r_.one_in(4)) set(static_cast<u8>(RandomState::kVec + r_.below(8)), a);
        if (o_.fp && r_.one_in(3)) return floating(a);
        if (r_.one_in(2)) return tabled(a);
        const Ref b = value(Type::V128);
        switch (r_.below(24)) {
        case 0: vec(Op::vzero, Lane::I8); break;
        case 1: vec(Op::vlow, lane(2, 5), a, b); break;
        case 2: { const Ref v = value(int_type()); vec(Op::vfrom_int, Lane::I8, v); break; }
        case 3: { const Type t = int_type(); vec(Op::vextract, Lane::I8, a, 0, static_cast<u8>(r_.below(128 / bits(t))), t); break; }
        case 4: { const unsigned k = r_.below(4); const Ref v = value(static_cast<Type>(1 + k)); vec(Op::vinsert, static_cast<Lane>(k), a, v, static_cast<u8>(r_.below(16u >> k))); break; }
        case 5: vec(static_cast<Op>(static_cast<u8>(Op::vand) + r_.below(4)), Lane::I8, a, b); break;
        case 6: vec(r_.one_in(2) ? Op::vadd : Op::vsub, lane(0, 3), a, b); break;
        case 7: vec(static_cast<Op>(static_cast<u8>(Op::vadds_s) + r_.below(4)), lane(0, 1), a, b); break;
        case 8: vec(static_cast<Op>(static_cast<u8>(Op::vmul_lo) + r_.below(3)), Lane::I16, a, b); break;
        case 9: vec(Op::vmul_even_u, Lane::I32, a, b); break;
        case 10: vec(Op::vmadd, Lane::I16, a, b); break;
        case 11: vec(Op::vsad, Lane::I8, a, b); break;
        case 12: vec(Op::vavg_u, lane(0, 1), a, b); break;
        case 13: vec(r_.one_in(2) ? Op::vmin_s : Op::vmax_s, Lane::I16, a, b); break;
        case 14: vec(r_.one_in(2) ? Op::vmin_u : Op::vmax_u, Lane::I8, a, b); break;
        case 15: vec(r_.one_in(2) ? Op::vcmp_eq : Op::vcmp_gt_s, lane(0, 2), a, b); break;
        case 16: case 17: {
            const Op op = static_cast<Op>(static_cast<u8>(Op::vshl) + r_.below(3));
            const Ref n = r_.one_in(2) ? constant(Type::I64, r_.below(80)) : value(Type::I64);
            vec(op, lane(1, op == Op::vsar ? 2 : 3), a, n);
            break;
        }
        case 18: vec(r_.one_in(2) ? Op::vshl_bytes : Op::vshr_bytes, Lane::I8, a, 0, static_cast<u8>(r_.below(17))); break;
        case 19: vec(r_.one_in(2) ? Op::vunpack_lo : Op::vunpack_hi, lane(0, 3), a, b); break;
        case 20: if (r_.one_in(2)) vec(Op::vpack_s, lane(1, 2), a, b); else vec(Op::vpack_u, Lane::I16, a, b); break;
        case 21: vec(static_cast<Op>(static_cast<u8>(Op::vshuffle) + r_.below(3)), Lane::I32, a, 0, static_cast<u8>(r_.next())); break;
        case 22: { const bool wide = r_.one_in(2); vec(Op::vshuffle2, wide ? Lane::I64 : Lane::I32, a, b, static_cast<u8>(wide ? r_.below(4) : r_.next())); break; }
        default: { static constexpr Lane l[] = {Lane::I8, Lane::F32, Lane::F64}; vec(Op::vmovmask, l[r_.below(3)], a, 0, 0, Type::I32); }
        }
    }
    /// Ops on vectors alone, with the lanes that they have and the number of values that aux can take.
    void tabled(Ref a) {
        struct Shape { Op op; Lane first, last; unsigned auxes; };
        static constexpr Shape shapes[] = {
            {Op::vmul_round, Lane::I16, Lane::I16, 1}, {Op::vmadd_us, Lane::I8, Lane::I8, 1},    {Op::vsign, Lane::I8, Lane::I32, 1},
            {Op::vabs, Lane::I8, Lane::I32, 1},        {Op::vhadd, Lane::I16, Lane::I32, 1},     {Op::vhsub, Lane::I16, Lane::I32, 1},
            {Op::vhadds_s, Lane::I16, Lane::I16, 1},   {Op::vhsubs_s, Lane::I16, Lane::I16, 1},  {Op::valign, Lane::I8, Lane::I8, 256},
            {Op::vshuffle_bytes, Lane::I8, Lane::I8, 1}, {Op::vmul_lo, Lane::I16, Lane::I32, 1}, {Op::vmul_even_s, Lane::I32, Lane::I32, 1},
            {Op::vsad_blocks, Lane::I16, Lane::I16, 8}, {Op::vmin_index, Lane::I16, Lane::I16, 1}, {Op::vmin_s, Lane::I8, Lane::I32, 1},
            {Op::vmin_u, Lane::I8, Lane::I32, 1},      {Op::vmax_s, Lane::I8, Lane::I32, 1},     {Op::vmax_u, Lane::I8, Lane::I32, 1},
            {Op::vcmp_eq, Lane::I8, Lane::I64, 1},     {Op::vcmp_gt_s, Lane::I8, Lane::I64, 1},  {Op::vpack_u, Lane::I16, Lane::I32, 1},
            {Op::vblend, Lane::I16, Lane::I64, 256},   {Op::vblend_sign, Lane::I32, Lane::I64, 1}, {Op::vblend_sign, Lane::I8, Lane::I8, 1},
            {Op::vinsert_lane, Lane::I32, Lane::I32, 256}, {Op::vshuffle_by, Lane::I32, Lane::I64, 1},
            {Op::vshl_each, Lane::I32, Lane::I64, 1},  {Op::vshr_each, Lane::I32, Lane::I64, 1},   {Op::vsar_each, Lane::I32, Lane::I32, 1},
            {Op::vlookup, Lane::I32, Lane::I32, 1},
            {Op::vclmul, Lane::I64, Lane::I64, 256},    {Op::vaes_enc, Lane::I8, Lane::I8, 1},
            {Op::vaes_enc_last, Lane::I8, Lane::I8, 1}, {Op::vaes_dec, Lane::I8, Lane::I8, 1},     {Op::vaes_dec_last, Lane::I8, Lane::I8, 1},
            {Op::vaes_imc, Lane::I8, Lane::I8, 1},     {Op::vaes_keygen, Lane::I8, Lane::I8, 256}, {Op::vsha1_rounds, Lane::I32, Lane::I32, 4},
            {Op::vsha1_next_e, Lane::I32, Lane::I32, 1}, {Op::vsha1_msg1, Lane::I32, Lane::I32, 1}, {Op::vsha1_msg2, Lane::I32, Lane::I32, 1},
            {Op::vsha256_rounds, Lane::I32, Lane::I32, 1}, {Op::vsha256_msg1, Lane::I32, Lane::I32, 1}, {Op::vsha256_msg2, Lane::I32, Lane::I32, 1},
            {Op::vgf_mul, Lane::I8, Lane::I8, 1},      {Op::vgf_affine, Lane::I8, Lane::I8, 256},  {Op::vgf_affine_inv, Lane::I8, Lane::I8, 256},
        };
        if (r_.one_in(8)) {
            const unsigned from = r_.below(3);
            vec(r_.one_in(2) ? Op::vwiden_s : Op::vwiden_u, static_cast<Lane>(from), a, 0, static_cast<u8>(from + 1 + r_.below(3 - from)));
            return;
        }
        if (r_.one_in(16)) {
            const Ref b = value(Type::V128);
            static constexpr Lane l[] = {Lane::I64, Lane::F32, Lane::F64};
            flags_.push_back(vec(Op::vtest, l[r_.below(3)], a, b, 0, Type::I16));
            return;
        }
        if (r_.one_in(10)) return strings(a);
        const Shape& s = shapes[r_.below(std::size(shapes))];
        const unsigned args = info(s.op).args;
        const Ref b = args > 1 ? value(Type::V128) : Ref{0}, c = args > 2 ? value(Type::V128) : Ref{0};
        vec(s.op, lane(static_cast<u8>(s.first), static_cast<u8>(s.last)), a, b, static_cast<u8>(r_.below(s.auxes)), Type::V128, c);
    }
    void strings(Ref a) {
        const Ref b = value(Type::V128), given = constant(Type::I64, r_.below(17) | r_.below(17) << 8);
        u8 aux = static_cast<u8>(r_.next());
        if (aux & 1) aux &= 0x7f;   // words: lengths would be at most 8
        const bool mask = r_.one_in(2);
        if (!r_.one_in(3)) vec(mask ? Op::vstr_mask : Op::vstr_index, Lane::I8, a, b, aux, mask ? Type::V128 : Type::I32, given);
        if (r_.one_in(2)) flags_.push_back(vec(Op::vstr_flags, Lane::I8, a, b, aux, Type::I16, given));
    }
    void floating(Ref a) {
        const Lane l = r_.one_in(2) ? Lane::F32 : Lane::F64;
        const u8 scalar = r_.one_in(2);
        const Ref b = value(Type::V128);
        switch (r_.below(15)) {
        case 14: vec(Op::vfcvt_from_h, Lane::F32, a); break;
        case 13: vec(Op::vfcvt_to_h, Lane::F32, a, 0, static_cast<u8>(r_.below(8))); break;
        case 12: {
            const Ref c = value(Type::V128);
            const bool alternate = !scalar && r_.one_in(3);
            const FusedForm form{scalar != 0, !alternate && r_.one_in(2), r_.one_in(2), alternate, static_cast<u8>(r_.below(3))};
            vec(Op::vfma, l, a, b, form.pack(), Type::V128, c);
            break;
        }
        case 11: vec(Op::vfround, l, a, b, static_cast<u8>(scalar | r_.below(16) << 1)); break;
        case 10: vec(static_cast<Op>(static_cast<u8>(Op::vfhadd) + r_.below(3)), l, a, b); break;
        case 0: case 1: case 2: vec(static_cast<Op>(static_cast<u8>(Op::vfadd) + r_.below(7)), l, a, b, scalar); break;
        case 3: vec(Op::vfcmp, l, a, b, static_cast<u8>(scalar | r_.below(32) << 1)); break;
        case 4: flags_.push_back(vec(Op::vfcomi, l, a, b, static_cast<u8>(r_.below(2) << 1), Type::I16)); break;
        case 5: vec(Op::vfcvt_f, l, a, b, scalar); break;
        case 6: vec(Op::vfcvt_to_i, l, a, 0, static_cast<u8>(r_.below(2) << 1), r_.one_in(2) ? Type::I32 : Type::I64); break;
        case 7: { const Ref v = value(r_.one_in(2) ? Type::I32 : Type::I64); vec(Op::vfcvt_from_i, l, a, v); break; }
        case 8: vec(Op::vfcvt_pi, l, a, 0, static_cast<u8>(r_.below(2) << 1)); break;
        default: vec(Op::vfcvt_pf, l, a); break;
        }
    }

    void terminal() {
        switch (r_.below(6)) {
        case 0: make(Op::jump, Type::None, 0, 0, 0, 0, r_.one_in(2) ? b_.rip : b_.end_rip); break;
        case 1: make(Op::jump, Type::None, 0, 0, 0, 0, 0x55000 + r_.below(4096)); break;
        case 2: make(Op::jump_to, Type::None, value(Type::I64)); break;
        case 3: make(Op::leave, Type::None); break;
        default: make(Op::branch, Type::None, bit(), 0, 0, 0, r_.one_in(3) ? b_.rip : r_.one_in(2) ? 0x1ff0 : 0x123456789a); break;
        }
    }

    Random& r_;
    const RandomOptions& o_;
    Block& b_;
    std::vector<Ref> pool_[8];
    std::vector<Ref> bits_, flags_;
};
}  // namespace

u64 Random::interesting(Type t) {
    static constexpr u64 some[] = {0, 1, 2, 3, 7, 8, 15, 16, 31, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
                                   0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~u64{0}, ~u64{1}, 0xffffffff80000000};
    const u64 v = one_in(3) ? next() : one_in(2) ? some[below(sizeof some / sizeof some[0])] : u64{below(1 << 16)};
    return is_int(t) ? v & mask(t) : v;
}

const Layout& random_layout() {
    static const Slots slots;
    static const Layout layout{slots.all, RandomState::kSlots, 16, RandomState::kFp, offsetof(RandomState, tlb), kHelpers, kHelperCount, slow_read, slow_write, raise};
    return layout;
}

void forget_tlb(RandomState& s) {
    for (auto& view : s.tlb.data)
        for (TlbEntry& e : view) e.read_tag = e.write_tag = kNoTag;
    for (FetchEntry& e : s.tlb.fetch) e.tag = kNoTag;
}

Block random_block(Random& r, const RandomOptions& o) {
    Block b;
    Generator{r, o, b}.run();
    return b;
}
}  // namespace calque::jit
