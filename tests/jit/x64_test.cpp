// The x86-64 back end beside the interpreter: random blocks, the same state before, the same state after.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "jit/opt/opt.h"
#include "x64_pair.h"

using namespace calque;
using namespace calque::jit;

namespace {
u64 rounds(u64 usual) {
    const char* more = std::getenv("CALQUE_FUZZ_ROUNDS");
    return more ? std::strtoull(more, nullptr, 10) : usual;
}
u64 first_seed() {
    const char* s = std::getenv("CALQUE_FUZZ_SEED");
    return s ? std::strtoull(s, nullptr, 10) : 1;
}

void fuzz(Pair& p, u64 count, const RandomOptions& o) {
    const u64 seed = first_seed();
    for (u64 n = seed; n < seed + count; ++n) {
        Random r{n};
        p.randomise(r);
        RandomOptions mine = o;
        mine.length = r.one_in(3) ? 4 : r.one_in(2) ? 12 : o.length;
        Block b = random_block(r, mine);
        const std::string wrong = verify(b);
        REQUIRE_MESSAGE(wrong.empty(), "seed " << n << ": " << wrong);
        if (r.one_in(2)) optimise(b, random_layout(), {});
        const std::string diff = p.compare(b);
        if (!diff.empty()) FAIL("seed " << n << ":\n" << diff << print(b));
    }
}
}  // namespace

TEST_CASE("random integer blocks") {
    Pair p;
    fuzz(p, rounds(6000), {.length = 30, .memory = false, .calls = false, .vectors = false, .fp = false});
}
TEST_CASE("random blocks with memory and helpers") {
    Pair p;
    fuzz(p, rounds(6000), {.length = 30, .memory = true, .calls = true, .vectors = false, .fp = false});
}
TEST_CASE("random blocks with vectors") {
    Pair p;
    fuzz(p, rounds(6000), {.length = 30, .memory = true, .calls = true, .vectors = true, .fp = false});
}
TEST_CASE("random blocks with everything") {
    Pair p;
    fuzz(p, rounds(6000), {.length = 60, .memory = true, .calls = true, .vectors = true, .fp = true});
}
TEST_CASE("random blocks with each optimisation left out") {
    for (const char* name : {"pinning", "host_flags", "inline_tlb", "address_modes", "targets", "avx", "bmi", "crypto", "inline_lookup", "linking"}) {
        CAPTURE(name);
        Pair p{name};
        fuzz(p, rounds(1500), {.length = 30, .memory = true, .calls = true, .vectors = true, .fp = true});
    }
}
