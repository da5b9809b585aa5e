// A guest with ten instructions and 16 pages of memory, so that the engine can be tested without x86.
//
//   01 r k   r += k (signed)            06       fault (guard)
//   02 r     byte [r7] := r             07 r     r := byte [r7]
//   03 d     jump by d                  08       attention
//   04 r d   jump by d if r != 0        09 m     mode := m
//   05 r     jump to r                  0a       asks for the count: r6 := instructions retired so far
#pragma once
#include <cstring>
#include <vector>

#include "jit/engine.h"
#include "jit/ir/builder.h"

namespace calque::jit {

struct ToyState {
    ExecContext x;
    u64 r[8]{};
    u32 fp = 0x1f80;
    V128 wide{};
    u64 fault_seen = 0;
    class ToyGuest* guest = nullptr;
    Tlb tlb;
};

class ToyGuest : public GuestCode {
public:
    static constexpr u64 kMmio = 0xf000;  // the last page is a device
    static constexpr u8 kFp = 8, kWide = 9;

    explicit ToyGuest(EngineOptions o = {}) {
        memory.resize(17 * 4096);
        ram = reinterpret_cast<u8*>((reinterpret_cast<u64>(memory.data()) + 4095) & ~u64{4095});
        for (unsigned n = 0; n < 16; ++n) map[n] = n;
        forget_data();
        s.guest = this;
        engine = std::make_unique<Engine>(&s, layout(), *this, o);
    }

    void put(u64 at, std::initializer_list<int> bytes) {
        for (const int b : bytes) ram[at++] = static_cast<u8>(b);
    }
    /// Runs until `n` more instructions have retired, or something else stops it.
    Engine::Stop run(i64 n) {
        set_budget(n);
        return engine->run();
    }
    void set_budget(i64 n) {
        const u64 now = s.x.icount();
        s.x.budget = n;
        s.x.deadline = now + static_cast<u64>(n);
    }
    void forget_data() {
        for (auto& view : s.tlb.data)
            for (TlbEntry& e : view) e.read_tag = e.write_tag = kNoTag;
    }
    void remap(unsigned page, unsigned to) {
        map[page] = to;
        forget_data();
        engine->forget_fetch(u64{page} << 12);
    }

    // ---- GuestCode
    const u8* fetch_page(u64 linear) override {
        ++fetches;
        return linear < kMmio ? ram + (map[linear >> 12] << 12) : nullptr;
    }
    void lift(const LiftRequest& q, Block& out) override {
        Builder b{out};
        out.rip = q.rip, out.mode = q.mode;
        u64 rip = q.rip;
        u32 at = q.offset;
        while (!b.ended() && out.insn_count < q.max_insns) {
            if (out.insn_count && q.stops && q.stops->test(at)) break;
            const unsigned n = length(q.page[at]);
            if (at + n > 4096) break;
            lift_one(b, q.page + at, rip);
            rip += n, ++out.insn_count, out.byte_count = static_cast<u16>(rip - q.rip);
            if (q.cuts && q.cuts->test(at)) at = 4096;
            else at += n;
            if (at >= 4096) break;
        }
        out.end_rip = rip;
        if (!b.ended() && out.insn_count) b.jump(rip);
        ++lifted;
    }
    bool lift_alone(Block& out) override {
        const u64 linear = s.x.rip + s.x.mode.base;
        u8 bytes[4];
        for (unsigned n = 0; n < 4; ++n) {
            if (linear + n >= 0x10000) return raise(99), false;
            const u64 at = linear + n;
            bytes[n] = at < kMmio ? ram[(map[at >> 12] << 12) + (at & 4095)] : mmio_code;
        }
        Builder b{out};
        out.rip = s.x.rip, out.mode = s.x.mode;
        lift_one(b, bytes, s.x.rip);
        out.insn_count = 1, out.byte_count = static_cast<u16>(length(bytes[0]));
        out.end_rip = s.x.rip + out.byte_count;
        if (!b.ended()) b.jump(out.end_rip);
        ++alone;
        return true;
    }
    void protect(const u8* page) override {
        ++protections;
        for (auto& view : s.tlb.data)
            for (TlbEntry& e : view)
                if (e.write_tag != kNoTag && reinterpret_cast<const u8*>(e.write_tag + e.addend) == page) e.write_tag = kNoTag;
    }

    const PageCuts* stops(u64 linear) override { return linear >> 12 == 0 ? &stop_here : nullptr; }
    void stop_at(u64 linear, bool on) {
        stop_here.set(linear, on);
        engine->stop_changed(linear);
    }

    ToyState s;
    PageCuts stop_here;   // in page 0
    std::vector<u8> memory;
    u8* ram = nullptr;
    u64 map[16];
    std::unique_ptr<Engine> engine;
    unsigned fetches = 0, lifted = 0, alone = 0, protections = 0, device_accesses = 0;
    u8 mmio_code = 0x06;
    std::vector<u64> device_times;

private:
    static unsigned length(u8 op) {
        return op == 1 || op == 4 ? 3 : op == 6 || op == 8 || op == 10 || op == 0 || op > 10 ? 1 : 2;
    }
    void raise(u64 code) { s.x.fault = Fault::raise, s.fault_seen = code; }

    static void lift_one(Builder& b, const u8* p, u64 rip) {
        const auto reg = [](u8 n) { return static_cast<u8>(n & 7); };
        const u64 next = rip + length(p[0]);
        b.insn(rip, static_cast<u8>(length(p[0])));
        switch (p[0]) {
        case 1: b.set(reg(p[1]), b.add(b.get(reg(p[1]), Type::I64), static_cast<u64>(static_cast<i8>(p[2])))); break;
        case 2: b.store(b.get(7, Type::I64), b.trunc(b.get(reg(p[1]), Type::I64), Type::I8)); break;
        case 3: b.jump(next + static_cast<u64>(static_cast<i8>(p[1]))); break;
        case 4:
            b.block().end_rip = next;
            b.branch(b.icmp(Cmp::ne, b.get(reg(p[1]), Type::I64), 0), next + static_cast<u64>(static_cast<i8>(p[2])));
            break;
        case 5: b.jump_to(b.get(reg(p[1]), Type::I64)); break;
        case 7: b.set(reg(p[1]), b.zext(b.load(Type::I8, b.get(7, Type::I64)), Type::I64)); break;
        case 8: b.call(0, Type::None, b.constant(Type::I64, next)), b.leave(); break;
        case 9: b.call(1, Type::None, b.constant(Type::I64, next), b.constant(Type::I64, p[1])), b.leave(); break;
        case 10: b.set(6, b.call(2, Type::I64)); break;
        default: b.guard(b.icmp(Cmp::ne, b.get(5, Type::I64), b.get(5, Type::I64)), fault_code(6)); break;
        }
    }

    static ToyState& of(void* state) { return *static_cast<ToyState*>(state); }
    u64 physical(u64 address) const { return (map[address >> 12] << 12) + (address & 4095); }
    // False when the access has to be repeated alone.
    bool device(ToyState& st) {
        if (st.x.unretired != 1) return st.x.fault = Fault::alone_mmio, false;
        ++device_accesses;
        device_times.push_back(st.x.icount());
        return true;
    }
    void fill(u64 address, u32 what) {
        const u8* page = ram + (physical(address) & ~u64{4095});
        const u64 tag = address & ~u64{4095};
        const auto entry = [&](bool write) -> TlbEntry& { return s.tlb.data[tlb_table(what >> 4 & 3, write)][address >> 12 & ((1u << kTlbBits) - 1)]; };
        entry(false).read_tag = tag;
        entry(true).write_tag = engine->has_code(page) ? kNoTag : tag;
        entry(false).addend = entry(true).addend = reinterpret_cast<u64>(page) - tag;
    }
    static u64 read(void* state, u64 address, u32 what) {
        ToyGuest& g = *of(state).guest;
        if (address >= 0x10000) return g.raise(14), 0;
        if (address >= kMmio) return g.device(of(state)) ? 0x5a : 0;
        g.fill(address, what);
        return g.ram[g.physical(address)];
    }
    static void write(void* state, u64 address, u64 value, u32 what) {
        ToyGuest& g = *of(state).guest;
        if (address >= 0x10000) return g.raise(14);
        if (address >= kMmio) return void(g.device(of(state)));
        u8* p = g.ram + g.physical(address);
        const u8 now = static_cast<u8>(value);
        if (g.engine->has_code(p) && !g.engine->about_to_store(p, &now, 1)) return;
        g.fill(address, what);
        *p = now;
    }
    static void raise_hook(void* state, u64 code) { of(state).guest->raise(code); }

    static const Layout& layout() {
        static const SlotInfo slots[] = {
            {"r0", offsetof(ToyState, r[0]), Type::I64}, {"r1", offsetof(ToyState, r[1]), Type::I64}, {"r2", offsetof(ToyState, r[2]), Type::I64},
            {"r3", offsetof(ToyState, r[3]), Type::I64}, {"r4", offsetof(ToyState, r[4]), Type::I64}, {"r5", offsetof(ToyState, r[5]), Type::I64},
            {"r6", offsetof(ToyState, r[6]), Type::I64}, {"r7", offsetof(ToyState, r[7]), Type::I64}, {"fp", offsetof(ToyState, fp), Type::I32},
            {"wide", offsetof(ToyState, wide), Type::V128}};
        static const HelperInfo helpers[] = {
            {"attention", [](void* st, u64 next, u64, u64) -> u64 { of(st).x.attention = 1, of(st).x.rip = next; return 0; }, 0, kAllSlots, HelperMayFault},
            {"mode", [](void* st, u64 next, u64 m, u64) -> u64 { of(st).x.mode.bits = static_cast<u32>(m), of(st).x.rip = next; return 0; }, 0, kAllSlots, 0},
            {"count", [](void* st, u64, u64, u64) -> u64 { return of(st).x.icount(); }, 0, 0, HelperSeesTime}};
        static const Layout l{slots, 10, 8, kFp, offsetof(ToyState, tlb), helpers, 3, read, write, raise_hook};
        return l;
    }
};

/// The executors to test, as options.
inline std::vector<EngineOptions> engines() {
    std::vector<EngineOptions> out(1);
    out[0].jit = false;
    if (!Engine::has_jit()) return out;
    for (const u32 warm : {0u, 3u}) {
        EngineOptions o;
        o.warm = warm, o.arena_bytes = 1 << 20, o.disable = {"none"};
        out.push_back(o);
    }
    return out;
}
}  // namespace calque::jit
