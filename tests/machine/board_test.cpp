#include "machine/boards/pc_i440fx.h"

#include <doctest/doctest.h>

#include "machine/block/memory_image.h"
#include "support/state_io.h"

using namespace calque;

namespace {
struct Sink final : CharSink {
    std::string text;
    void put(u8 c) override { text += static_cast<char>(c); }
};
struct Bus final : ApicBus {
    unsigned messages = 0;
    u8 last = 0;
    void deliver(u8, bool, ApicDelivery, u8 vector, bool) override { ++messages, last = vector; }
};
struct Rig {
    std::unique_ptr<PhysMap> memory = std::move(*PhysMap::create(64 * kMiB));
    IoPorts io;
    Clock clock;
    Wire intr, nmi, smi;
    struct : EdgeLine {
        unsigned count = 0;
        void trigger() override { ++count; }
    } ignne;
    Bus apic;
    Sink serial[2], debug;
    MemoryImage disk{kMiB};
    unsigned hard = 0, soft = 0, off = 0;
    u32 exit_value = 0;
    std::unique_ptr<PcI440fx> board;

    Rig() {
        BoardConfig c;
        c.bios.assign(256 * kKiB, 0xb1);
        c.vga_bios = {0x55, 0xaa, 1};
        c.vga_bios.resize(512);
        c.ide[0] = {BoardConfig::Ide::Kind::disk, &disk};
        c.ide[2] = {BoardConfig::Ide::Kind::cdrom, nullptr};
        c.floppy[0].present = true;
        c.serial = {&serial[0], &serial[1], &serial[0]};
        c.debugcon = &debug;
        c.debug_exit = true;
        board = std::make_unique<PcI440fx>(c, *memory, io, clock, BoardPins{intr, nmi, smi, ignne, apic},
                                           BoardEvents{[this] { ++hard; }, [this] { ++soft; }, [this] { ++off; },
                                                       [this](u32 v) { exit_value = v; }});
        board->reset();
    }
    u32 config_read(unsigned device, unsigned function, unsigned reg) {
        io.out(0xcf8, 0x80000000 | device << 11 | function << 8 | reg, 4);
        return io.in(0xcfc, 4);
    }
    void config_write(unsigned device, unsigned function, unsigned reg, u32 value) {
        io.out(0xcf8, 0x80000000 | device << 11 | function << 8 | reg, 4);
        io.out(0xcfc, value, 4);
    }
    void init_pics() {
        for (const u16 base : {0x20, 0xa0}) {
            io.out(base, 0x11, 1), io.out(static_cast<u16>(base + 1), base == 0x20 ? 0x08 : 0x70, 1);
            io.out(static_cast<u16>(base + 1), base == 0x20 ? 4 : 2, 1), io.out(static_cast<u16>(base + 1), 1, 1);
            io.out(static_cast<u16>(base + 1), 0, 1);
        }
    }
};
}  // namespace

TEST_CASE("board: the PCI functions are where firmware and ACPI tables say") {
    Rig r;
    CHECK(r.config_read(0, 0, 0) == 0x12378086);
    CHECK(r.config_read(1, 0, 0) == 0x70008086);
    CHECK(r.config_read(1, 1, 0) == 0x70108086);
    CHECK(r.config_read(1, 3, 0) == 0x71138086);
    CHECK(r.config_read(2, 0, 0) == 0x11111234);
    CHECK(r.config_read(3, 0, 0) == 0xffffffff);
}

TEST_CASE("board: the BIOS answers below 4 GiB and below 1 MiB, and PAM replaces it by RAM") {
    Rig r;
    CHECK(r.memory->read(0xfffffff0, 1) == 0xb1);
    CHECK(r.memory->read(0xfffc0000, 1) == 0xb1);
    CHECK(r.memory->read(0xe0000, 1) == 0xb1);
    CHECK(r.memory->read(0xffff0, 4) == 0xb1b1b1b1);
    r.config_write(0, 0, 0x58, r.config_read(0, 0, 0x58) | 0x30 << 8);  // PAM0 is 59h: F0000h-FFFFFh reads and writes RAM
    r.memory->write(0xffff0, 0x12, 1);
    CHECK(r.memory->read(0xffff0, 1) == 0x12);
    CHECK(r.memory->page(0xff000).writable);
    r.board->reset();
    CHECK(r.memory->read(0xffff0, 1) == 0xb1);
}

TEST_CASE("board: VGA answers at A0000h and behind its BARs") {
    Rig r;
    r.config_write(2, 0, 0x10, 0xe0000000);
    r.config_write(2, 0, 0x04, 3);
    CHECK(r.memory->page(0xe0000000).host == r.board->vga().memory().data());
    r.config_write(2, 0, 0x10, 0xe8000000);
    CHECK(r.memory->page(0xe0000000).host == nullptr);
    CHECK(r.memory->page(0xe8000000).writable);
    r.config_write(2, 0, 0x30, 0xfeb00001);
    CHECK(r.memory->read(0xfeb00000, 2) == 0xaa55);
    r.config_write(2, 0, 0x04, 0);
    CHECK(r.memory->page(0xe8000000).host == nullptr);
}

TEST_CASE("board: the timer reaches IRQ 0 and I/O APIC pin 2; serial ports share IRQ 4") {
    Rig r;
    r.init_pics();
    r.io.out(0x43, 0x34, 1), r.io.out(0x40, 100, 1), r.io.out(0x40, 0, 1);
    r.clock.advance(kSecond / 1000);
    CHECK(r.intr.high());
    CHECK(r.board->acknowledge() == 0x08);
    r.io.out(0x20, 0x20, 1);
    r.memory->write(0xfec00000, 0x14, 4), r.memory->write(0xfec00010, 0x55, 4);  // pin 2: vector 55h, edge, unmasked
    const unsigned before = r.apic.messages;
    r.clock.advance(kSecond / 1000);
    CHECK(r.apic.messages > before);
    CHECK(r.apic.last == 0x55);

    r.io.out(0x21, 0xef, 1);  // IRQ 4 only
    while (r.intr.high()) r.board->acknowledge(), r.io.out(0x20, 0x20, 1);
    r.io.out(0x3fb, 3, 1), r.io.out(0x3eb, 3, 1);  // eight data bits
    r.io.out(0x3fc, 8, 1), r.io.out(0x3f9, 1, 1);  // OUT2, receiver interrupt
    r.io.out(0x3ec, 8, 1), r.io.out(0x3e9, 1, 1);
    CHECK(r.board->serial(0)->receive('x'));
    CHECK(r.intr.high());
    CHECK(r.board->acknowledge() == 0x0c);
    CHECK(r.io.in(0x3f8, 1) == 'x');
    r.io.out(0x20, 0x20, 1);
    CHECK(r.board->serial(2)->receive('y'));
    CHECK(r.intr.high());
    CHECK(r.io.in(0x3e8, 1) == 'y');
    CHECK_FALSE(r.intr.high());
}

TEST_CASE("board: PCI interrupts go through the PIIX3's steering registers") {
    Rig r;
    r.init_pics();
    r.config_write(1, 0, 0x60, 0x0b0b0a0a);
    CHECK(r.config_read(1, 0, 0x60) == 0x0b0b0a0a);
}

TEST_CASE("board: resets, power off, A20, SMI and the debug ports do what they say") {
    Rig r;
    r.io.out(0xcf9, 2, 1), r.io.out(0xcf9, 6, 1);
    CHECK(r.hard == 1);
    r.io.out(0x92, 3, 1);
    CHECK(r.soft == 1);
    r.io.out(0x64, 0xfe, 1);
    CHECK(r.soft == 2);
    r.io.out(0x92, 0, 1), r.io.out(0x64, 0xd1, 1), r.io.out(0x60, 0xdd, 1);
    CHECK_FALSE(r.memory->a20());
    r.io.out(0x92, 2, 1);
    CHECK(r.memory->a20());
    r.config_write(1, 3, 0x40, 0x601), r.config_write(1, 3, 0x80, 1);
    r.io.out(0xb2, 0xf1, 1);
    CHECK((r.io.in(0x604, 2) & 1) == 1);  // SCI_EN
    r.io.out(0x604, 0x2000, 2);
    CHECK(r.off == 1);
    r.io.out(0xf4, 0x10, 1);
    CHECK(r.exit_value == 0x10);
    CHECK(r.io.in(0xe9, 1) == 0xe9);
    r.io.out(0xe9, 'k', 1);
    CHECK(r.debug.text == "k");
    r.io.out(0x510, 0, 2);
    CHECK(r.io.in(0x511, 1) == 'Q');
}

TEST_CASE("board: CMOS tells memory size, floppy drive and checksum") {
    Rig r;
    const auto cmos = [&](u8 index) { return r.io.out(0x70, index, 1), r.io.in(0x71, 1); };
    CHECK((cmos(0x34) | cmos(0x35) << 8) == 48 * 16);
    CHECK(cmos(0x10) == 0x40);
    CHECK(cmos(0x14) == 0x07);
    u32 sum = 0;
    for (u8 i = 0x10; i <= 0x2d; ++i) sum += cmos(i);
    CHECK((cmos(0x2e) << 8 | cmos(0x2f)) == (sum & 0xffff));
}

TEST_CASE("board: all devices save, load into another board, and save the same bytes") {
    Rig a, b;
    a.init_pics();
    a.io.out(0x43, 0x34, 1), a.io.out(0x40, 100, 1), a.io.out(0x40, 0, 1);
    a.io.out(0x92, 0, 1);
    a.config_write(2, 0, 0x10, 0xe0000000), a.config_write(2, 0, 0x04, 3);
    a.clock.advance(kSecond / 3);
    const auto save = [](Rig& r) {
        StateIO s = StateIO::saver();
        r.clock.state(s);
        for (const auto& d : r.board->devices()) d.device->state(s);
        return s.bytes();
    };
    const auto bytes = save(a);
    StateIO in = StateIO::loader(bytes);
    b.clock.state(in);
    for (const auto& d : b.board->devices()) d.device->state(in);
    CHECK(in.ok());
    CHECK(save(b) == bytes);
    CHECK(b.memory->page(0xe0000000).host == b.board->vga().memory().data());
    CHECK(b.memory->a20() == a.memory->a20());
    for (Rig* r : {&a, &b}) r->clock.advance(kSecond / 7);
    CHECK(save(a) == save(b));
    for (size_t n = 0; n < bytes.size(); n += 97) {  // a damaged snapshot is refused, not believed
        StateIO cut = StateIO::loader(std::span{bytes}.first(n));
        Rig c;
        c.clock.state(cut);
        for (const auto& d : c.board->devices()) d.device->state(cut);
        CHECK_FALSE(cut.ok());
        if (n > 3000) break;
    }
}

TEST_CASE("board: FERR# is IRQ 13 until port F0h is written, which gives IGNNE#") {
    Rig r;
    r.init_pics();
    r.board->ferr().trigger();
    CHECK(r.intr.high());
    CHECK(r.board->acknowledge() == 0x75);
    CHECK(r.ignne.count == 0);
    r.io.out(0xf0, 0, 1);
    CHECK(r.ignne.count == 1);
    r.io.out(0xa0, 0x20, 1), r.io.out(0x20, 0x20, 1);
    CHECK(r.intr.low());
    r.io.out(0xf0, 0, 1);   // nothing pending
    CHECK(r.ignne.count == 1);
}
