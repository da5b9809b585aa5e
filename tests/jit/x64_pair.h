// A back end and the interpreter, each with a state and memory of its own, for running the same block on both.
#pragma once
#include <doctest/doctest.h>

#include <cstdio>
#include <memory>
#include <string>

#include "jit/backend.h"
#include "jit/cache/arena.h"
#include "jit/interp/interp.h"
#include "random_ir.h"

namespace calque::jit {
constexpr size_t kStateBytes = offsetof(RandomState, tlb);

struct Outcome {
    std::unique_ptr<RandomState> s = std::make_unique<RandomState>();
    std::vector<u8> ram = std::vector<u8>(RandomState::kRam + 16);
};

struct Pair {
    explicit Pair(std::initializer_list<const char*> disabled = {}) {
        backend = make_backend(jit.s.get(), random_layout());
        REQUIRE(backend);
        for (const char* d : disabled) backend->disable(d);
        backend->begin(memory.arena());
        interp = std::make_unique<Interp>(ref.s.get(), random_layout());
        forget_tlb(*ref.s);
        forget_tlb(*jit.s);
    }

    void randomise(Random& r) {
        RandomState& s = *ref.s;
        for (u64& v : s.r) v = r.interesting(Type::I64);
        s.flags = static_cast<u16>(fl::One | (r.next() & fl::All));
        s.bit = static_cast<u8>(r.below(2));
        s.fp = 0x1f80 | (r.one_in(3) ? static_cast<u32>(r.next()) & 0xe040 : 0) | (r.next() & 0x3f & r.next());
        for (V128& v : s.v) v = r.one_in(3) ? V128{r.next(), r.next()} : floats(r);
        s.raised = s.accesses = 0;
        if (r.one_in(8)) {
            forget_tlb(s);
            forget_tlb(*jit.s);
        }
        s.fill_tlb = true;
        if (r.one_in(64))
            for (u8& b : ref.ram) b = static_cast<u8>(r.next());
    }
    static V128 floats(Random& r) {
        const auto one = [&] {
            if (r.one_in(2)) {
                static constexpr double some[] = {0.0, -0.0, 1.0, -1.5, 1e300, 1e-310, 3.5, 2147483648.0, 1e18, 0.1};
                double d = some[r.below(10)];
                u64 v;
                std::memcpy(&v, &d, 8);
                return r.one_in(10) ? u64{0x7ff8000000000001} : r.one_in(10) ? u64{0x7ff0000000000001} : v;
            }
            static constexpr float some[] = {0.0f, -0.0f, 1.0f, -2.5f, 1e38f, 1e-40f, 0.1f, 16777217.0f};
            float f[2] = {some[r.below(8)], some[r.below(8)]};
            u64 v;
            std::memcpy(&v, f, 8);
            return v;
        };
        return {one(), one()};
    }

    /// Runs the block on both; empty when they agree.
    std::string compare(const Block& b) {
        ref.s->x = {};
        ref.s->x.deadline = 1000000 + b.insn_count;
        ref.s->x.budget = b.insn_count;
        ref.s->x.rip = 0xdead;
        ref.s->ram = ref.ram.data();
        // Same state on the other side, with its own memory.
        const auto tlb_of = [](RandomState& s) { return reinterpret_cast<u8*>(&s) + kStateBytes; };
        std::memcpy(static_cast<void*>(jit.s.get()), ref.s.get(), static_cast<size_t>(tlb_of(*ref.s) - reinterpret_cast<u8*>(ref.s.get())));
        jit.ram = ref.ram;
        jit.s->ram = jit.ram.data();
        for (auto& view : jit.s->tlb.data)
            for (TlbEntry& e : view) e.addend = reinterpret_cast<u64>(jit.ram.data());

        ref.s->x.budget -= b.insn_count;
        ref.s->x.unretired = b.insn_count + 1u;
        ref.s->x.block = 77;
        interp->run(compile_for_interp(b, random_layout()));

        Arena& arena = memory.arena();
        if (arena.size - arena.used < (1 << 20)) {
            arena.used = 0;
            backend->begin(arena);
        }
        Translation t;
        const u64 linear = b.mode.base ? static_cast<u32>(b.rip + b.mode.base) : b.rip;
        if (!backend->translate({b, linear, 77, 5}, t)) return "was not translated";
        const Exit exit = backend->enter(t.entry);
        return differences(b, exit);
    }

    std::string differences(const Block& b, Exit exit) {
        const RandomState &x = *ref.s, &y = *jit.s;
        std::string out;
        const auto check = [&](const char* what, u64 want, u64 got) {
            char line[100];
            if (want == got) return;
            std::snprintf(line, sizeof line, "%s is %llx, not %llx\n", what, static_cast<unsigned long long>(got), static_cast<unsigned long long>(want));
            out += line;
        };
        for (unsigned n = 0; n < 16; ++n) check(("r" + std::to_string(n)).c_str(), x.r[n], y.r[n]);
        check("flags", x.flags, y.flags);
        check("bit", x.bit, y.bit);
        check("fp", x.fp, y.fp);
        for (unsigned n = 0; n < 8; ++n) {
            check(("v.lo" + std::to_string(n)).c_str(), x.v[n].lo, y.v[n].lo);
            check(("v.hi" + std::to_string(n)).c_str(), x.v[n].hi, y.v[n].hi);
        }
        check("fault", static_cast<u64>(x.x.fault), static_cast<u64>(y.x.fault));
        check("raised", x.raised, y.raised);
        check("accesses", x.accesses, y.accesses);
        check("unretired", x.x.unretired, y.x.unretired);
        check("budget", static_cast<u64>(x.x.budget), static_cast<u64>(y.x.budget));
        const bool faulted = x.x.fault != Fault::none;
        check("exit", faulted, exit == Exit::fault);
        if (!faulted) check("rip", x.x.rip, y.x.rip);
        if (!faulted && b.code.back().op == Op::leave) check("exit leave", static_cast<u64>(Exit::leave), static_cast<u64>(exit));
        if (faulted) check("block", 77, y.x.block);
        if (ref.ram != jit.ram) out += "memory differs\n";
        return out;
    }

    Outcome ref, jit;
    ArenaMemory memory{16 << 20};
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Interp> interp;
};

}  // namespace calque::jit
