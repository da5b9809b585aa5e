// Expected values: SDM vol. 3A, chapter "Paging".
#include "guest.h"

using namespace calque;
using namespace calque::test;

namespace {
constexpr u64 A = 0x20, D = 0x40;
}

TEST_CASE("a store sets A and D, a load only A, upper levels A") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "A1 00 00 03 00 00 00 00 00  89 03"};   // mov eax, [30000h]; mov [rbx], eax
        g.rbx = 0x31000;
        g.step();
        CHECK((g.get(g.leaf_64(0x30000), 8) & (A | D)) == A);
        CHECK((g.get(at::Tables, 8) & (A | D)) == A);
        CHECK((g.get(at::Tables + 0x1000, 8) & A) == A);
        g.step();
        CHECK((g.get(g.leaf_64(0x31000), 8) & (A | D)) == (A | D));
    }
}

TEST_CASE("the first store after a load sets D") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "8B 03 89 03"};
        g.rbx = 0x31000;
        g.step();
        CHECK((g.get(g.leaf_64(0x31000), 8) & D) == 0);
        g.step();
        CHECK((g.get(g.leaf_64(0x31000), 8) & D) == D);
    }
}

TEST_CASE("page fault error codes and CR2") {
    for (Engine e : engines()) {
        struct Row {
            Mode mode;
            const char* code;
            u64 leaf, error;
        };
        const u64 page = 0x31000;
        const Row rows[] = {
            {Mode::long64, "8B 03", 0, 0},                                  // read, not present
            {Mode::long64, "89 03", 0, 2},                                  // write
            {Mode::user64, "8B 03", 0, 4},                                  // user
            {Mode::user64, "8B 03", page | 3, 5},                           // supervisor page
            {Mode::user64, "89 03", page | 5, 7},                           // read-only page
            {Mode::long64, "89 03", page | 5, 3},                           // with CR0.WP
            {Mode::long64, "FF E3", page | 7 | u64{1} << 63, 0x11},         // no execute
            {Mode::long64, "8B 03", page | 7 | u64{1} << 50, 0x9},          // reserved bit
            {Mode::user64, "FF E3", page | 7 | u64{1} << 63, 0x15},
        };
        for (const Row& r : rows) {
            Guest g{e, r.mode, r.code};
            CAPTURE(r.code);
            CAPTURE(r.leaf);
            g.put(g.leaf_64(page), r.leaf, 8);
            g.refresh();
            g.rbx = page + 0x123;
            g.step(3);
            CHECK(g.vector() == 14);
            CHECK(g.s().cr2 == page + 0x123);
            CHECK(g.stack(0, 8) == r.error);
        }
    }
}

TEST_CASE("CR0.WP clear lets the supervisor write read-only pages") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "89 03"};
        g.s().cr0 &= ~cr0::WP;
        g.put(g.leaf_64(0x31000), 0x31000 | 5, 8);
        g.refresh();
        g.rbx = 0x31000, g.rax = 0x12345678;
        g.step();
        CHECK(g.vector() == -1);
        CHECK(g.get(0x31000, 4) == 0x12345678);
    }
}

TEST_CASE("SMEP and SMAP") {
    for (Engine e : engines()) {
        // Code and tables are supervisor pages, 31000h belongs to the user.
        const auto make = [&](const char* code) {
            auto g = std::make_unique<Guest>(e, Mode::long64, code);
            g->page_tables_64(3);
            g->put(g->leaf_64(0x31000), 0x31000 | 7, 8);
            g->s().cr4 |= cr4::SMEP | cr4::SMAP;
            g->refresh();
            g->rbx = 0x31000;
            return g;
        };
        auto g = make("FF E3");
        g->step(2);
        CHECK(g->vector() == 14);
        CHECK(g->stack(0, 8) == 0x11);
        g = make("8B 03");
        g->step();
        CHECK(g->vector() == 14);
        CHECK(g->stack(0, 8) == 1);
        g = make("0F 01 CB 8B 03 0F 01 CA 8B 03");   // stac; load; clac; load
        g->step(3);
        CHECK(g->vector() == -1);
        g->step();
        CHECK(g->vector() == 14);
    }
}

TEST_CASE("INVLPG and CR3 loads make changed tables visible; global pages stay") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "8B 03 8B 03 0F 01 3B 8B 03"};   // load; load; invlpg [rbx]; load
        g.put(0x31000, 1, 4), g.put(0x32000, 2, 4);
        g.rbx = 0x31000;
        g.step();
        CHECK(g.rax == 1);
        g.put(g.leaf_64(0x31000), 0x32000 | 7, 8);
        g.step();
        CHECK(g.rax == 1);   // still the old translation
        g.step(2);
        CHECK(g.rax == 2);

        Guest h{e, Mode::long64, "0F 20 E0 0C 80 0F 22 E0 8B 03 0F 20 D9 0F 22 D9 8B 03"};   // cr4.pge; load; reload cr3; load
        h.put(0x31000, 1, 4), h.put(0x32000, 2, 4);
        h.put(h.leaf_64(0x31000), 0x31000 | 7 | 0x100, 8);
        h.rbx = 0x31000;
        h.step(4);
        h.put(h.leaf_64(0x31000), 0x32000 | 7, 8);
        h.step(3);
        CHECK(h.rax == 1);
    }
}

TEST_CASE("walks that allow more than the tables do now are old until they are voided") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "89 03 0F 01 3B"};   // store; invlpg [rbx]
        g.rbx = 0x31000;
        g.step();
        CHECK(g.cpu->old_walks().empty());
        const auto old = [&](u64 entry) {
            g.put(g.leaf_64(0x31000), entry, 8);
            const auto walks = g.cpu->old_walks();
            REQUIRE(walks.size() <= 1);
            if (walks.empty()) return false;
            CHECK(walks[0].linear == 0x31000);
            CHECK(walks[0].paddr == 0x31000);
            CHECK(walks[0].writable);
            CHECK(walks[0].dirty);
            return true;
        };
        CHECK_FALSE(old(0x31000 | 7 | A | D));
        CHECK_FALSE(old(0x31000 | 7 | D));       // the accessed bit is of no account
        CHECK(old(0x32000 | 7 | A | D));         // it is elsewhere,
        CHECK(old(0x31000 | 5 | A | D));         // read-only as before a copy,
        CHECK(old(0x31000 | 3 | A | D));         // the supervisor's,
        CHECK(old(0x31000 | 7 | A));             // clean,
        CHECK(old(0x31000 | 7 | A | D | u64{1} << 63));   // not for code,
        CHECK(old(0));                           // or gone
        g.step();
        CHECK(g.cpu->old_walks().empty());
    }
}

TEST_CASE("PCIDs keep their translations") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "0F 22 D9 8B 03 0F 22 DA 8B 03 0F 22 D9 8B 03 0F 22 DD 8B 03"};
        g.s().cr4 |= cr4::PCIDE;
        g.refresh();
        g.put(0x31000, 1, 4), g.put(0x32000, 2, 4);
        g.rbx = 0x31000;
        const u64 keep = u64{1} << 63;
        g.rcx = at::Tables | 1 | keep, g.rdx = at::Tables | 2 | keep, g.rbp = at::Tables | 1;
        g.step(2);
        CHECK(g.rax == 1);
        g.put(g.leaf_64(0x31000), 0x32000 | 7, 8);
        g.step(2);
        CHECK(g.rax == 2);   // PCID 2 has never seen the page
        g.step(2);
        CHECK(g.rax == 1);   // PCID 1 has
        g.step(2);
        CHECK(g.rax == 2);   // and loses it without bit 63
    }
}

TEST_CASE("large pages: 2 MiB, 1 GiB, 4 MiB with PSE, PSE-36 reserved bit") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "8B 03 0F 01 3B 8B 03"};
        g.put(0x450000, 0x55, 4), g.put(0x650000, 0x66, 4);
        g.put(at::Tables + 0x2000 + 16, 0x400000 | 0x87, 8);   // 400000h: 2 MiB page
        g.refresh();
        g.rbx = 0x450000;
        g.step();
        CHECK(g.rax == 0x55);
        g.put(at::Tables + 0x2000 + 16, 0x600000 | 0x87, 8);
        g.rbx = 0x410000;   // INVLPG anywhere inside
        g.step();
        g.rbx = 0x450000;
        g.step();
        CHECK(g.rax == 0x66);

        Guest h{e, Mode::long64, "8B 03"};
        h.put(at::Tables + 0x1008, 0x87, 8);   // linear 40000000h: 1 GiB page at 0
        h.put(0x31000, 0x77, 4);
        h.rbx = 0x40031000;
        h.refresh();
        h.step();
        CHECK(h.rax == 0x77);

        Guest p{e, Mode::protected32, "8B 03"};
        p.page_tables_32();
        p.s().cr4 |= cr4::PSE;
        p.put(at::Tables + 8, 0x87, 4);   // 800000h: 4 MiB page at 0
        p.refresh();
        p.put(0x31000, 0x88, 4);
        p.rbx = 0x831000;
        p.step();
        CHECK(p.rax == 0x88);
        CHECK((p.get(at::Tables + 8, 4) & A) == A);
        p.put(at::Tables + 8, 0x87 | 1u << 21, 4);
        p.refresh();
        p.s().x.rip = at::Code;
        p.step();
        CHECK(p.vector() == 14);
        CHECK(p.stack(0, 4) == 9);
    }
}

TEST_CASE("PAE: PDPTEs are registers, loaded and checked by MOV CR3") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "8B 03 0F 22 D8 8B 03"};
        g.page_tables_pae();
        g.rbx = 0x31000;
        g.put(at::Tables + 0x1000, 0, 8);   // memory changes, registers do not
        g.refresh();
        g.step();
        CHECK(g.vector() == -1);
        g.put(at::Tables + 0x1000, (at::Tables + 0x2000) | 1 | 2, 8);   // reserved bit
        g.rax = at::Tables + 0x1000;
        g.step();
        CHECK(g.vector() == 13);
    }
}

TEST_CASE("an access that crosses a page changes nothing when the second page faults") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "48 89 03"};
        g.put(g.leaf_64(0x32000), 0, 8);
        g.refresh();
        g.put(0x31ff8, 0, 8);
        g.rbx = 0x31ffc, g.rax = ~u64{0};
        g.step();
        CHECK(g.vector() == 14);
        CHECK(g.s().cr2 == 0x32000);
        CHECK(g.get(0x31ffc, 4) == 0);
        CHECK((g.get(g.leaf_64(0x32000), 8)) == 0);
    }
}

TEST_CASE("instructions that cross into an absent page fault with the second page's address") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "90"};
        g.code("B8 44", 0x31ffe);
        g.code("33 22 11", 0x32000);
        g.put(g.leaf_64(0x32000), 0, 8);
        g.refresh();
        g.s().x.rip = 0x31ffe;
        g.step();
        CHECK(g.vector() == 14);
        CHECK(g.s().cr2 == 0x32000);
        CHECK(g.stack(0, 8) == 0x10);   // I/D: NX is enabled
        CHECK(g.stack(1, 8) == 0x31ffe);
        Guest h{e, Mode::long64, "90"};
        h.code("B8 44", 0x31ffe);
        h.code("33 22 11", 0x32000);
        h.s().x.rip = 0x31ffe;
        h.step();
        CHECK(h.rax == 0x11223344);
    }
}

TEST_CASE("non-canonical addresses: #GP, or #SS through the stack") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "8B 03"};
        g.rbx = 0x800000000000;
        g.step();
        CHECK(g.vector() == 13);
        Guest h{e, Mode::long64, "50"};
        h.gate(12, sel::Code64, at::Handlers + 16 * 12, 0x8e);
        h.put(at::Idt + 12 * 16 + 4, (at::Handlers & 0xffff0000) | 0x8e01, 4);   // IST 1
        h.put(at::Tss + 36, at::Stack0, 8);
        h.rsp = 0x800000000008;
        h.step();
        CHECK(h.vector() == 12);
        Guest k{e, Mode::long64, "8B 45 00"};
        k.rbp = 0x800000000000;
        k.step();
        CHECK(k.vector() == 12);
    }
}

TEST_CASE("devices see one access of the right size, at the time of the instruction") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "90 90 8B 03 89 43 04 66 8B 43 08"};
        g.rbx = static_cast<u32>(at::Device);
        g.step(5);
        CHECK(g.rax == 0x55667788 - 0x55667788 % 0x10000 + 0x7788);
        REQUIRE(g.memory.device.size() == 3);
        CHECK((g.memory.device[0] == TestMemory::Access{at::Device, 0, 4, false}));
        CHECK((g.memory.device[1] == TestMemory::Access{at::Device + 4, 0x55667788, 4, true}));
        CHECK((g.memory.device[2] == TestMemory::Access{at::Device + 8, 0, 2, false}));
    }
}

TEST_CASE("ROM is read like memory and written on the bus") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "8B 03 89 0B 8B 13"};
        g.memory.rom_low = true;
        g.put(0x70000, 0x1234, 4);
        g.rbx = 0x70000, g.rcx = 0x9999;
        g.step(3);
        CHECK(g.rax == 0x1234);
        CHECK(g.rdx == 0x1234);
        REQUIRE(g.memory.device.size() == 1);
        CHECK(g.memory.device[0].write);
    }
}
