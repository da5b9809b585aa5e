// Pages are noted before their first store, whatever makes it, and the guest runs as without.
#include <cstring>
#include <map>

#include "guest.h"

using namespace calque;
using namespace calque::test;

namespace {
constexpr u64 kMost = 1'000'000;

/// Keeps what pages were before they were written.
struct Kept {
    explicit Kept(Guest& g)
        : guest{g}, watch{g.memory.ram, [this](u64 at) { old.emplace(at, std::vector<u8>{&guest.memory.ram[at], &guest.memory.ram[at] + 4096}); }} {
        g.cpu->watch_writes(&watch);
    }
    ~Kept() { guest.cpu->watch_writes(nullptr); }
    void mark() {
        old.clear(), watch.clear();
        guest.cpu->watch_writes(&watch);
    }
    /// RAM as it was at the mark.
    std::vector<u8> undone() const {
        std::vector<u8> ram = now();
        for (const auto& [at, page] : old) std::memcpy(&ram.at(at), page.data(), 4096);
        return ram;
    }
    std::vector<u8> now() const { return {guest.memory.ram.begin(), guest.memory.ram.begin() + 0x110000}; }   // there is nothing above
    Guest& guest;
    std::map<u64, std::vector<u8>> old;
    WriteWatch watch;
};

struct Program {
    const char* what;
    Mode mode;
    const char* hex;
    std::vector<u64> pages;   // written
};
// ECX counts from 60; ESI = 50000h, EDI = 60000h. All end in HLT.
const Program kPrograms[] = {
    {"mov", Mode::protected32, "89 0E 83 C6 04 49 75 F8 F4", {0x50000}},                                  // mov [esi], ecx; add esi, 4; dec ecx; jnz
    {"mov, fixed address", Mode::protected32, "89 0D 00 00 05 00 49 75 F7 F4", {0x50000}},
    {"read-modify-write", Mode::protected32, "01 0E 49 75 FB F4", {0x50000}},                             // add [esi], ecx
    {"locked", Mode::protected32, "F0 FF 06 49 75 FA F4", {0x50000}},                                     // lock inc dword [esi]
    {"read first", Mode::protected32, "8B 06 40 89 06 49 75 F8 F4", {0x50000}},
    {"two in a row", Mode::long64, "48 89 0E 48 89 4E 08 FF C9 75 F5 F4", {0x50000}},
    {"across a page", Mode::protected32, "89 8E FE 0F 00 00 49 75 F7 F4", {0x50000, 0x51000}},
    {"push", Mode::protected32, "51 49 75 FC F4", {0x1f000}},
    {"call", Mode::protected32, "E8 00 00 00 00 58 49 75 F7 F4", {0x1f000}},
    {"vectors", Mode::long64, "0F 11 06 0F 29 47 10 FF C9 75 F5 F4", {0x50000, 0x60000}},
    {"x87", Mode::protected32, "DB E3 D9 E8 D9 1E D9 EB DB 3F 49 75 F3 F4", {0x50000, 0x60000}},          // fninit; fld1; fstp dword [esi]; fldpi; fstp tbyte [edi]
    {"rep stosd", Mode::protected32, "B9 00 08 00 00 F3 AB F4", {0x60000, 0x61000}},
    {"rep movsb", Mode::protected32, "B9 00 18 00 00 F3 A4 F4", {0x60000, 0x61000}},
    {"pages far apart", Mode::protected32, "88 0E 88 0F 81 C6 00 10 00 00 83 F9 3A 77 02 31 C9 49 7F EC F4", {0x50000, 0x51000, 0x52000, 0x60000}},
};

void prepare(Guest& g) {
    g.rcx = 60, g.rsi = 0x50000, g.rdi = 0x60000;
    g.s().cr0 &= ~(cr0::EM | cr0::TS);
    g.refresh();
    for (u64 at = 0x50000; at < 0x70000; ++at) g.memory.ram[at] = static_cast<u8>(at * 7 + (at >> 9));
}
}  // namespace

TEST_CASE("write watch: whatever stores is seen before it does, after every mark") {
    for (Engine e : engines())
        for (const Program& p : kPrograms)
            for (const u64 piece : {kMost, u64{50}, u64{7}}) {
                CAPTURE(e); CAPTURE(std::string{p.what}); CAPTURE(piece);
                Guest plain{e, p.mode, p.hex}, g{e, p.mode, p.hex};
                prepare(plain), prepare(g);
                Kept kept{g};
                std::vector<u8> before = kept.now();
                std::map<u64, unsigned> pages;
                for (u64 n = 0; n < 2000 && !g.s().halted; ++n) {
                    kept.mark();
                    g.run(piece);
                    REQUIRE(kept.undone() == before);
                    before = kept.now();
                    for (const auto& [at, bytes] : kept.old) pages[at] += at < 0x100000;
                }
                plain.run(kMost);
                CHECK(g.s().halted);
                CHECK(g.vector() == -1);
                CHECK(g.cpu->icount() == plain.cpu->icount());
                CHECK(std::equal(g.memory.ram.begin(), g.memory.ram.end(), plain.memory.ram.begin()));
                CHECK(std::equal(std::begin(g.s().gpr), std::end(g.s().gpr), std::begin(plain.s().gpr)));
                std::erase_if(pages, [](const auto& page) { return !page.second; });   // the processor's own
                CHECK(pages.size() >= p.pages.size());
                for (const u64 at : p.pages) CHECK(pages.count(at));
                CHECK(pages.size() <= p.pages.size() + 1);
            }
}

TEST_CASE("write watch: the processor's own stores and those of others are seen") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::long64, "8A 06 F4"};   // mov al, [rsi]: sets the page's accessed bit
        g.page_tables_64(3);
        g.rsi = 0x50000;
        Kept kept{g};
        g.run(10);
        CHECK(g.s().halted);
        CHECK(kept.old.count(g.leaf_64(0x50000) & ~u64{4095}));
        CHECK_FALSE(kept.old.count(0x50000));
        kept.mark();
        g.cpu->memory_changed(&g.memory.ram[0x52ff0], 0x20);   // a bus master
        CHECK(kept.old.size() == 2);
        CHECK(kept.old.count(0x52000));
        CHECK(kept.old.count(0x53000));
    }
}

TEST_CASE("write watch: no page table is walked that would not be without") {
    for (Engine e : engines()) {
        CAPTURE(e);
        // 2000 times: mov [rsi], ecx; mov eax, [rdi]; and the accessed bit of RSI's page, which the translation outlives, is cleared
        const char* const kHex = "89 0E 8B 07 83 23 DF FF C9 75 F5 F4";   // and dword [rbx], ~20h
        Guest plain{e, Mode::long64, kHex}, g{e, Mode::long64, kHex};
        for (Guest* each : {&plain, &g}) {
            each->page_tables_64(3);
            each->rcx = 2000, each->rsi = 0x50000, each->rdi = 0x60000, each->rbx = each->leaf_64(0x50000);
        }
        Kept kept{g};
        while (!g.s().halted) kept.mark(), g.run(100);
        while (!plain.s().halted) plain.run(100);
        CHECK(g.s().mmu->stats().walks == plain.s().mmu->stats().walks);
        CHECK(std::equal(g.memory.ram.begin(), g.memory.ram.end(), plain.memory.ram.begin()));
    }
}
