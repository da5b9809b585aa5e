#include "devices/storage/i82078.h"

#include "tests/devices/storage_rig.h"

using namespace calque;

namespace {
/// A DMA channel with a buffer and a count, like one of the 8237's after programming.
struct FakeDma final : DmaChannel {
    std::vector<u8> memory;
    size_t at = 0;
    bool masked = false;
    void program(size_t bytes) { memory.assign(bytes, 0), at = 0; }
    unsigned to_memory(std::span<const u8> data, bool& tc) override {
        const size_t n = masked ? 0 : std::min(data.size(), memory.size() - at);
        std::copy_n(data.begin(), n, memory.begin() + static_cast<std::ptrdiff_t>(at));
        tc = n && (at += n) == memory.size();
        return static_cast<unsigned>(n);
    }
    unsigned from_memory(std::span<u8> data, bool& tc) override {
        const size_t n = masked ? 0 : std::min(data.size(), memory.size() - at);
        std::copy_n(memory.begin() + static_cast<std::ptrdiff_t>(at), n, data.begin());
        tc = n && (at += n) == memory.size();
        return static_cast<unsigned>(n);
    }
};

struct FloppyRig {
    Clock clock;
    FakeDma dma;
    Wire irq;
    I82078 fdc{clock, dma, irq};
    MemoryImage disk{pattern(1440 * kKiB)};
    using Bytes = std::vector<u8>;

    FloppyRig() {
        fdc.drive(0).install(FloppyType::m1440);
        fdc.drive(0).insert(&disk);
        fdc.reset();
    }
    void start() {
        fdc.write(2, 0x1C);  // out of reset, DMA, motor 0
        clock.advance(1'000'000);
        CHECK(irq.high());
        for (u8 n = 0; n < 4; ++n) CHECK(run({0x08}) == Bytes{static_cast<u8>(0xC0 | n), 0});
        CHECK(irq.low());
        send({0x03, 0xDF, 0x02});
        fdc.write(7, 0);  // 500 kb/s
    }
    void send(const Bytes& command) {
        for (u8 b : command) {
            CHECK((fdc.read(4) & 0xC0) == 0x80);
            fdc.write(5, b);
        }
    }
    Bytes result() {
        Bytes r;
        while ((fdc.read(4) & 0xD0) == 0xD0) r.push_back(fdc.read(5));
        CHECK(fdc.read(4) == 0x80);
        return r;
    }
    Bytes run(const Bytes& command) {
        send(command);
        if (!(fdc.read(4) & 0x40)) clock.advance(kSecond);
        return result();
    }
    void seek(u8 cylinder, u8 unit = 0) {
        send({0x0F, unit, cylinder});
        CHECK(fdc.read(4) == (0x80 | 1 << unit));
        clock.advance(kSecond);
        CHECK(irq.high());
        CHECK(run({0x08}) == Bytes{static_cast<u8>(0x20 | unit), cylinder});
        CHECK(irq.low());
    }
    Bytes at(unsigned cylinder, unsigned head, unsigned sector, unsigned count) {
        return slice(disk.data(), ((cylinder * 2 + head) * 18 + sector - 1) * 512, count * 512);
    }
    Bytes save() {
        StateIO s = StateIO::saver();
        clock.state(s);
        fdc.state(s);
        return s.bytes();
    }
    bool load(const Bytes& b) {
        StateIO s = StateIO::loader(b);
        clock.state(s);
        fdc.state(s);
        return s.ok();
    }
};
using Bytes = FloppyRig::Bytes;
}  // namespace

TEST_CASE("reset: the chip is silent until DOR releases it, then polls four drives") {
    FloppyRig r;
    CHECK(r.fdc.read(4) == 0x00);
    CHECK(r.fdc.read(2) == 0x00);
    CHECK(r.fdc.read(0) == 0xFF);
    r.fdc.write(5, 0x08);
    r.start();
    CHECK(r.run({0x08}) == Bytes{0x80});
    r.fdc.write(4, 0x80);  // DSR reset ends by itself
    CHECK(r.fdc.read(4) == 0x00);
    r.clock.advance(1'000'000);
    CHECK(r.irq.high());
    CHECK(r.run({0x08}) == Bytes{0xC0, 0});
    r.send({0x13, 0, 0x57, 0});  // POLL disabled
    r.fdc.write(2, 0x18), r.fdc.write(2, 0x1C);
    r.clock.advance(1'000'000);
    CHECK(r.irq.low());
    CHECK(r.fdc.read(4) == 0x80);
}

TEST_CASE("identification and register commands") {
    FloppyRig r;
    r.start();
    CHECK(r.run({0x10}) == Bytes{0x90});
    CHECK(r.run({0x18}) == Bytes{0x01});
    CHECK(r.run({0x94}) == Bytes{0x10});
    r.send({0x13, 0x00, 0x1A, 0x05});
    r.send({0x12, 0x84});
    CHECK(r.run({0x0E}) == Bytes{0, 0, 0, 0, 0xDF, 0x02, 0, 0x84, 0x1A, 0x05});
    r.fdc.write(4, 0x80);
    r.clock.advance(1'000'000);
    CHECK(r.run({0x0E})[8] == 0x1A);  // kept, because of LOCK
    CHECK(r.run({0x14}) == Bytes{0x00});
    r.fdc.write(4, 0x80);
    r.clock.advance(1'000'000);
    CHECK(r.run({0x0E})[8] == 0x30);
    for (u8 bad : {0x00, 0x1F, 0x11, 0x19, 0x1D, 0xD1, 0x23, 0x45 | 0x20, 0x88})
        CHECK(r.run({bad}) == Bytes{0x80});
    CHECK(r.run({0x8E, 0x21, 0x80}) == Bytes{0, 1, 0, 0});
    r.send({0x8E, 0x00, 0xC0});
    CHECK(r.fdc.read(4) == 0x80);
}

TEST_CASE("READ DATA of a whole track by DMA ends by terminal count") {
    FloppyRig r;
    r.start();
    r.seek(5);
    r.dma.program(36 * 512);
    CHECK(r.run({0xE6, 0, 5, 0, 1, 2, 18, 0x1B, 0xFF}) == Bytes{0x04, 0, 0, 6, 0, 1, 2});
    CHECK(r.dma.memory == r.at(5, 0, 1, 36));
    r.dma.program(3 * 512);
    CHECK(r.run({0xE6, 4, 5, 1, 4, 2, 18, 0x1B, 0xFF}) == Bytes{0x04, 0, 0, 5, 1, 7, 2});
    CHECK(r.dma.memory == r.at(5, 1, 4, 3));
    r.dma.program(100);  // terminal count inside a sector
    CHECK(r.run({0x46, 0, 5, 0, 9, 2, 18, 0x1B, 0xFF}) == Bytes{0, 0, 0, 5, 0, 10, 2});
}

TEST_CASE("the interrupt comes with the result and goes with its first byte") {
    FloppyRig r;
    r.start();
    r.dma.program(512);
    r.send({0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF});
    CHECK(r.fdc.read(4) == 0x10);
    CHECK(r.irq.low());
    r.clock.advance(100'000'000);
    CHECK(r.irq.high());
    CHECK(r.fdc.read(4) == 0xD0);
    r.fdc.read(5);
    CHECK(r.irq.low());
    r.result();
}

TEST_CASE("errors of READ DATA") {
    FloppyRig r;
    r.start();
    r.dma.program(20 * 512);
    CHECK(r.run({0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF}) == Bytes{0x40, 0x80, 0, 1, 0, 1, 2});  // end of cylinder
    CHECK(r.run({0x46, 0, 0, 0, 19, 2, 20, 0x1B, 0xFF}) == Bytes{0x40, 0x04, 0, 0, 0, 19, 2});
    CHECK(r.run({0x46, 0, 7, 0, 1, 2, 18, 0x1B, 0xFF}) == Bytes{0x40, 0x04, 0x10, 7, 0, 1, 2});
    CHECK(r.run({0x46, 0, 0, 0, 1, 3, 18, 0x1B, 0xFF})[1] == 0x04);
    CHECK(r.run({0x06, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF})[1] == 0x01);  // FM
    CHECK(r.run({0x46, 1, 0, 0, 1, 2, 18, 0x1B, 0xFF})[1] == 0x01);  // no such drive
    r.dma.masked = true;
    CHECK(r.run({0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF})[1] == 0x10);  // overrun
    r.dma.masked = false;
    r.fdc.write(7, 2);  // 250 kb/s finds nothing on a high density disk
    CHECK(r.run({0x4A, 0})[1] == 0x01);
    r.fdc.write(7, 0);
    r.disk.set_failing(true);
    CHECK(r.run({0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF}) == Bytes{0x40, 0x20, 0x20, 0, 0, 1, 2});
    r.fdc.drive(0).insert(nullptr);
    CHECK(r.run({0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF})[0] == 0x40);
    r.fdc.write(2, 0x0C);
    CHECK(r.run({0x4A, 0})[1] == 0x01);
}

TEST_CASE("WRITE DATA, write protection and failing hosts") {
    FloppyRig r;
    r.start();
    const auto data = pattern(1024, 6);
    r.dma.program(1024);
    r.dma.memory = data;
    CHECK(r.run({0x45, 0, 0, 0, 3, 2, 18, 0x1B, 0xFF}) == Bytes{0, 0, 0, 0, 0, 5, 2});
    CHECK(r.at(0, 0, 3, 2) == data);
    r.dma.program(10);  // the rest of the sector becomes zero
    CHECK(r.run({0x45, 0, 0, 0, 3, 2, 18, 0x1B, 0xFF})[0] == 0);
    CHECK(r.at(0, 0, 3, 1) == Bytes(512, 0));
    r.disk.set_failing(true);
    r.dma.program(512);
    CHECK(r.run({0x45, 0, 0, 0, 3, 2, 18, 0x1B, 0xFF})[1] == 0x20);
    r.disk.set_failing(false);
    CHECK(r.run({0x04, 0}) == Bytes{0x38});
    r.disk.set_read_only(true);
    CHECK(r.run({0x45, 0, 0, 0, 3, 2, 18, 0x1B, 0xFF})[1] == 0x02);
    CHECK(r.run({0x04, 4}) == Bytes{0x7C});
}

TEST_CASE("non-DMA mode: the CPU moves each byte and gets an interrupt a sector") {
    FloppyRig r;
    r.start();
    r.send({0x03, 0xDF, 0x03});
    r.send({0x46, 0, 0, 0, 17, 2, 18, 0x1B, 0xFF});
    Bytes got;
    for (int sector = 0; sector < 2; ++sector) {
        CHECK(r.fdc.read(4) == 0x10);
        r.clock.advance(10'000'000);
        CHECK(r.irq.high());
        for (int i = 0; i < 512; ++i) {
            CHECK(r.fdc.read(4) == 0xF0);
            got.push_back(r.fdc.read(5));
        }
    }
    CHECK(got == r.at(0, 0, 17, 2));
    CHECK(r.result() == Bytes{0x40, 0x80, 0, 1, 0, 1, 2});
    const auto data = pattern(512, 8);
    r.send({0x45, 0, 0, 0, 18, 2, 18, 0x1B, 0xFF});
    r.clock.advance(10'000'000);
    for (u8 b : data) {
        CHECK(r.fdc.read(4) == 0xB0);
        r.fdc.write(5, b);
    }
    CHECK(r.result()[1] == 0x80);
    CHECK(r.at(0, 0, 18, 1) == data);
}

TEST_CASE("READ ID turns the disk, RECALIBRATE and SENSE DRIVE find track 0") {
    FloppyRig r;
    r.start();
    r.seek(40);
    CHECK(r.run({0x4A, 4}) == Bytes{0x04, 0, 0, 40, 1, 1, 2});
    CHECK(r.run({0x4A, 4}) == Bytes{0x04, 0, 0, 40, 1, 2, 2});
    CHECK(r.run({0x04, 0}) == Bytes{0x28});
    r.send({0x07, 0});
    r.clock.advance(kSecond);
    CHECK(r.run({0x08}) == Bytes{0x20, 0});
    CHECK(r.run({0x04, 0}) == Bytes{0x38});
    r.send({0x07, 2});  // no drive, no track 0
    r.clock.advance(kSecond);
    CHECK(r.run({0x08}) == Bytes{0x72, 0});
    r.send({0xCF, 0, 7});
    r.clock.advance(kSecond);
    CHECK(r.run({0x08}) == Bytes{0x20, 7});
    CHECK(r.run({0x4A, 0})[3] == 7);
    r.send({0x8F, 0, 3});
    r.clock.advance(kSecond);
    CHECK(r.run({0x08}) == Bytes{0x20, 4});
}

TEST_CASE("two seeks overlap") {
    FloppyRig r;
    r.fdc.drive(1).install(FloppyType::m1440);
    r.start();
    r.send({0x0F, 0, 10});
    r.send({0x0F, 1, 20});
    CHECK(r.fdc.read(4) == 0x83);
    r.clock.advance(kSecond);
    CHECK(r.run({0x08}) == Bytes{0x20, 10});
    CHECK(r.irq.high());
    CHECK(r.run({0x08}) == Bytes{0x21, 20});
    CHECK(r.irq.low());
}

TEST_CASE("disk change is remembered until a step pulse") {
    FloppyRig r;
    r.start();
    CHECK(r.fdc.read(7) == 0x80);
    r.seek(1);
    CHECK(r.fdc.read(7) == 0x00);
    r.fdc.drive(0).insert(nullptr);
    CHECK(r.fdc.read(7) == 0x80);
    r.seek(0);
    CHECK(r.fdc.read(7) == 0x80);
    r.fdc.drive(0).insert(&r.disk);
    r.seek(1);
    CHECK(r.fdc.read(7) == 0x00);
}

TEST_CASE("FORMAT TRACK") {
    FloppyRig r;
    r.start();
    r.seek(3);
    r.dma.memory.clear();
    for (u8 s = 1; s <= 18; ++s)
        for (u8 b : {u8{3}, u8{1}, s, u8{2}}) r.dma.memory.push_back(b);
    r.dma.at = 0;
    CHECK(r.run({0x4D, 4, 2, 18, 0x54, 0xF6})[0] == 0x04);
    CHECK(r.at(3, 1, 1, 18) == Bytes(18 * 512, 0xF6));
    CHECK(r.at(3, 0, 1, 1) != Bytes(512, 0xF6));
    r.dma.at = 0;
    CHECK(r.run({0x4D, 0, 2, 18, 0x54, 0xF6})[1] == 0x20);  // wrong head in the addresses
}

TEST_CASE("VERIFY, READ TRACK, READ DELETED and implied seek") {
    FloppyRig r;
    r.start();
    CHECK(r.run({0x56, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF}) == Bytes{0, 0, 0, 1, 0, 1, 2});
    CHECK(r.run({0x56, 0x80, 0, 0, 4, 2, 18, 0x1B, 3}) == Bytes{0, 0, 0, 0, 0, 7, 2});
    r.dma.program(5 * 512);
    CHECK(r.run({0x42, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF})[0] == 0);
    CHECK(r.dma.memory == r.at(0, 0, 1, 5));
    r.dma.program(5 * 512);
    CHECK(r.run({0x4C, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF}) == Bytes{0, 0, 0x40, 0, 0, 2, 2});
    CHECK(r.run({0x6C, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF})[1] == 0x80);
    r.send({0x13, 0, 0x50, 0});
    r.dma.program(512);
    CHECK(r.run({0x46, 0, 60, 0, 1, 2, 18, 0x1B, 0xFF})[0] == 0);
    CHECK(r.dma.memory == r.at(60, 0, 1, 1));
}

TEST_CASE("formats follow from the image's size") {
    struct Row {
        u64 kib;
        FloppyType type;
        int sectors, rate;
    };
    for (const Row& row : {Row{360, FloppyType::k360, 9, 2}, Row{720, FloppyType::k720, 9, 2}, Row{1200, FloppyType::m1200, 15, 0},
                           Row{1440, FloppyType::m1440, 18, 0}, Row{2880, FloppyType::m2880, 36, 3}, Row{1000, FloppyType::m1440, 18, 0}}) {
        CAPTURE(row.kib);
        FloppyRig r;
        MemoryImage image{pattern(row.kib * kKiB, 2)};
        CHECK(FloppyDrive::type_for(image.size()) == row.type);
        r.fdc.drive(0).install(row.type);
        r.fdc.drive(0).insert(&image);
        r.start();
        r.fdc.write(7, static_cast<u8>(row.rate));
        r.seek(20);
        r.dma.program(512);
        const u8 last = static_cast<u8>(row.sectors);
        CHECK(r.run({0x46, 4, 20, 1, last, 2, last, 0x1B, 0xFF})[0] == 0x04);
        CHECK(r.dma.memory == slice(image.data(), static_cast<size_t>(42 * row.sectors - 1) * 512, 512));
    }
}

TEST_CASE("a 360 KB disk in a 1.2 MB drive needs double steps") {
    FloppyRig r;
    MemoryImage image{pattern(360 * kKiB, 2)};
    r.fdc.drive(0).install(FloppyType::m1200);
    r.fdc.drive(0).insert(&image);
    r.start();
    r.fdc.write(7, 1);
    r.seek(40);
    CHECK(r.run({0x4A, 0})[3] == 20);
}

TEST_CASE("save and load in the middle of a transfer") {
    for (bool pio : {false, true}) {
        FloppyRig a;
        a.start();
        a.send({0x03, 0xDF, static_cast<u8>(pio ? 3 : 2)});
        a.dma.program(18 * 512);
        a.send({0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF});
        a.clock.advance(1'000'000);
        Bytes got;
        for (int i = 0; pio && i < 100; ++i) got.push_back(a.fdc.read(5));
        FloppyRig b;
        b.dma = a.dma;
        const auto saved = a.save();
        REQUIRE(b.load(saved));
        CHECK(b.save() == saved);
        for (int i = 100; pio && i < 512; ++i) got.push_back(b.fdc.read(5));
        b.clock.advance(kSecond);
        if (pio) CHECK(got == b.at(0, 0, 1, 1));
        else CHECK(b.result() == Bytes{0, 0, 0, 1, 0, 1, 2});
        if (!pio) CHECK(b.dma.memory == b.at(0, 0, 1, 18));
    }
}

TEST_CASE("random register traffic and damaged state do no harm") {
    FloppyRig r;
    r.start();
    r.dma.program(1 << 20);
    u32 x = 5;
    const auto traffic = [&x](FloppyRig& rig, int n) {
        for (int i = 0; i < n; ++i) {
            x = x * 1664525u + 1013904223u;
            const u16 reg = x & 0x10 ? 5 : static_cast<u16>(x >> 28 & 7);
            u8 v = static_cast<u8>(x >> 16);
            if (reg == 2) v |= x & 0x20 ? 0x1C : 0;
            if (x & 0x40) rig.fdc.write(reg, v);
            else rig.fdc.read(reg);
            if ((x & 0x0F) == 0) rig.clock.advance(x >> 8 & 0xFFFFFF);
        }
    };
    traffic(r, 100000);
    const auto saved = r.save();
    for (int i = 0; i < 200; ++i) {
        auto bad = saved;
        for (int k = 0; k < 30; ++k) x = x * 1664525u + 1013904223u, bad[(x >> 8) % bad.size()] = static_cast<u8>(x >> 24);
        FloppyRig b;
        b.load(bad);
        b.dma.program(4096);
        traffic(b, 1000);
    }
}
