#include "devices/storage/ata_disk.h"

#include <numeric>

#include "tests/devices/storage_rig.h"

using namespace calque;

namespace {
constexpr u8 kReady = 0x50, kReadyDrq = 0x58, kFailed = 0x51;

struct DiskRig : IdeRig {
    MemoryImage image{pattern(8 * kMiB)};
    AtaDisk disk{clock, image};
    DiskRig() { attach(0, 0, disk); }
    std::vector<u8> sectors(u64 lba, size_t n) { return slice(image.data(), lba * 512, n * 512); }
};
}  // namespace

TEST_CASE("after reset the ATA signature stands in the registers") {
    DiskRig r;
    CHECK(r.in(1) == 0x01);
    CHECK(r.in(2) == 0x01);
    CHECK(r.in(3) == 0x01);
    CHECK(r.in(4) == 0x00);
    CHECK(r.in(5) == 0x00);
    CHECK(r.in(7) == kReady);
}

TEST_CASE("nothing decodes before IDETIM and the command register say so") {
    DiskRig r;
    r.ide.config_write(0x40, 0, 4);
    CHECK(r.in(7) == 0xFF);
    r.ide.config_write(0x40, 0x8000, 2);
    CHECK(r.in(7) == kReady);
    CHECK(r.in(7, 1) == 0xFF);
    r.ide.config_write(0x04, 0, 2);
    CHECK(r.in(7) == 0xFF);
    CHECK(r.ide.config_read(0, 4) == 0x70108086);
    CHECK((r.ide.config_read(8, 4) >> 8) == 0x010180);
    r.ide.config_write(0x20, 0xFFFFFFFF, 4);
    CHECK(r.ide.config_read(0x20, 4) == 0xFFFFFFF1);
}

TEST_CASE("missing drives: a floating cable reads FFh, an absent slave Status 00h") {
    DiskRig r;
    CHECK(r.in(7, 1) == 0xFF);
    CHECK(r.in(2, 1) == 0xFF);
    r.out(6, 0xB0);
    CHECK(r.in(7) == 0x00);
    CHECK(r.alt() == 0x00);
    CHECK(r.in(6) == 0xB0);
    r.out(7, 0xEC);
    r.clock.advance(kSecond);
    CHECK(r.irq14.low());
    r.out(6, 0xA0);
    CHECK(r.in(7) == kReady);
}

TEST_CASE("IDENTIFY DEVICE") {
    DiskRig r;
    r.out(6, 0xA0);
    r.out(7, 0xEC);
    CHECK((r.alt() & 0x80));
    CHECK(r.settle() == kReadyDrq);
    CHECK(r.irq14.high());
    CHECK(r.in(7) == kReadyDrq);
    CHECK(r.irq14.low());
    const auto d = r.read_data(512);
    CHECK(r.alt() == kReady);
    CHECK(r.irq14.low());
    CHECK(word(d, 0) == 0x0040);
    CHECK(word(d, 1) == 16);
    CHECK(word(d, 3) == 16);
    CHECK(word(d, 6) == 63);
    CHECK((word(d, 60) | word(d, 61) << 16) == 16384);
    CHECK(word(d, 100) == 16384);
    CHECK((word(d, 83) & 0x0400));
    CHECK(text(d, 27, 20).substr(0, 15) == "CALQUE HARDDISK");
    CHECK(static_cast<u8>(std::accumulate(d.begin(), d.end(), 0u)) == 0);
    CHECK(d[510] == 0xA5);
}

TEST_CASE("READ SECTORS interrupts for each sector and none after the last") {
    DiskRig r;
    r.address(100, 3);
    CHECK(r.command(0x20) == kReadyDrq);
    std::vector<u8> got;
    for (int i = 0; i < 3; ++i) {
        r.settle();
        CHECK(r.irq14.high());
        CHECK(r.in(7) == kReadyDrq);
        const auto part = r.read_data(512);
        got.insert(got.end(), part.begin(), part.end());
        CHECK(r.irq14.low());
    }
    CHECK(r.settle() == kReady);
    CHECK(r.irq14.low());
    CHECK(r.irq14.rising_edges() == 3);
    CHECK(got == r.sectors(100, 3));
    CHECK(r.in(3) == 102);
    CHECK(r.in(2) == 0);
}

TEST_CASE("a dword access to the data port takes two words") {
    DiskRig r;
    r.address(0, 1);
    r.command(0x20);
    const u32 v = r.ports().io_read(0, 4);
    const auto want = r.sectors(0, 1);
    const u32 both = want[0] | want[1] << 8 | want[2] << 16 | u32{want[3]} << 24;
    CHECK(v == both);
    CHECK(r.read_data(508) == slice(want, 4, 508));
    CHECK(r.alt() == kReady);
}

TEST_CASE("count 0 means 256 sectors") {
    DiskRig r;
    r.address(0, 0);
    r.command(0x20);
    for (int i = 0; i < 256; ++i) {
        CHECK(r.settle() == kReadyDrq);
        r.read_data(512);
    }
    CHECK(r.settle() == kReady);
}

TEST_CASE("WRITE SECTORS: no interrupt for the first block, one after each") {
    DiskRig r;
    const auto data = pattern(1024, 9);
    r.address(7, 2);
    CHECK(r.command(0x30) == kReadyDrq);
    CHECK(r.irq14.low());
    r.write_data(std::span{data}.first(512));
    CHECK((r.alt() & 0x80));
    CHECK(r.settle() == kReadyDrq);
    CHECK(r.irq14.high());
    r.in(7);
    r.write_data(std::span{data}.last(512));
    CHECK(r.settle() == kReady);
    CHECK(r.irq14.high());
    CHECK(r.sectors(7, 2) == data);
}

TEST_CASE("multiple mode") {
    DiskRig r;
    r.address(0, 20);
    CHECK(r.command(0xC4) == kFailed);  // not yet set
    CHECK(r.in(1) == 0x04);
    r.out(2, 5);
    CHECK(r.command(0xC6) == kFailed);
    r.out(2, 8);
    CHECK(r.command(0xC6) == kReady);
    r.in(7);
    const unsigned before = r.irq14.rising_edges();
    r.address48(50, 20);
    r.command(0x29);
    std::vector<u8> got;
    for (int n : {8, 8, 4}) {
        CHECK(r.settle() == kReadyDrq);
        r.in(7);
        const auto part = r.read_data(static_cast<size_t>(n) * 512);
        got.insert(got.end(), part.begin(), part.end());
    }
    CHECK(r.settle() == kReady);
    CHECK(r.irq14.rising_edges() - before == 3);
    CHECK(got == r.sectors(50, 20));
    const auto data = pattern(12 * 512, 4);
    r.address(10, 12);
    r.command(0xC5);
    r.write_data(std::span{data}.first(8 * 512));
    CHECK(r.settle() == kReadyDrq);
    r.write_data(std::span{data}.last(4 * 512));
    CHECK(r.settle() == kReady);
    CHECK(r.sectors(10, 12) == data);
}

TEST_CASE("CHS addressing follows INITIALIZE DEVICE PARAMETERS") {
    DiskRig r;
    r.out(6, 0xA0 | 3), r.out(2, 17);
    CHECK(r.command(0x91) == kReady);  // 4 heads, 17 sectors
    r.out(6, 0xA0 | 2), r.out(2, 1), r.out(3, 5), r.out(4, 6), r.out(5, 0);
    CHECK(r.command(0x20) == kReadyDrq);
    CHECK(r.read_data(512) == r.sectors((6 * 4 + 2) * 17 + 4, 1));
    r.out(3, 18);
    CHECK(r.command(0x20) == kFailed);
    CHECK(r.in(1) == 0x10);
    r.out(3, 0);
    CHECK(r.command(0x20) == kFailed);
    r.out(6, 0xA0 | 4), r.out(3, 1);
    CHECK(r.command(0x70) == kFailed);
    r.out(6, 0xA0);
    CHECK(r.command(0x70) == kReady);
    CHECK(r.command(0x10) == kReady);
    CHECK(r.in(4) == 0);
}

TEST_CASE("the end of the disk: IDNF and nothing moves") {
    DiskRig r;
    r.address(16383, 2);
    CHECK(r.command(0x20) == kFailed);
    CHECK(r.in(1) == 0x10);
    CHECK(r.in(4) == 0x40);  // 16384 is the first sector that is not there
    r.address48(~u64{0}, 0);
    CHECK(r.command(0x24) == kFailed);
    r.address48(16384 - 65535, 0);
    CHECK(r.command(0x35) == kFailed);
    r.address(16383, 1);
    CHECK(r.command(0x40) == kReady);
    r.address(0, 0);
    CHECK(r.command(0x40) == kReady);
}

TEST_CASE("LBA48 registers are two deep and HOB shows the older value") {
    DiskRig r;
    r.out(2, 0x12), r.out(2, 0x34);
    CHECK(r.in(2) == 0x34);
    r.control().io_write(0, 0x80, 1);
    CHECK(r.in(2) == 0x12);
    r.out(6, 0xE0);
    CHECK(r.in(2) == 0x34);
}

TEST_CASE("READ DMA through a scattered table") {
    DiskRig r;
    r.address(5, 4);
    r.table({{0x10000, 512}, {0x20002, 1000}, {0x30000, 536}});
    r.start(true);
    CHECK((r.bm_status() & 1));
    r.out(7, 0xC8);
    CHECK(r.irq14.low());
    CHECK(r.settle() == kReady);
    CHECK(r.irq14.high());
    CHECK(r.bm_status() == 0x04);  // interrupt, no longer active
    const auto want = r.sectors(5, 4);
    CHECK(slice(r.memory.bytes, 0x10000, 512) == slice(want, 0, 512));
    CHECK(slice(r.memory.bytes, 0x20002, 1000) == slice(want, 512, 1000));
    CHECK(slice(r.memory.bytes, 0x30000, 536) == slice(want, 1512, 536));
    CHECK(r.memory.bytes[0x30000 + 536] == 0);
    r.stop();
    r.ide.bar_write(4, 2, 0x64, 1);
    CHECK(r.bm_status() == 0x60);
}

TEST_CASE("WRITE DMA EXT of 300 sectors, started before and after the command") {
    for (bool first : {false, true}) {
        DiskRig r;
        const auto data = pattern(300 * 512, 77);
        std::copy(data.begin(), data.end(), r.memory.bytes.begin() + 0x100000);
        r.address48(1000, 300);
        r.table({{0x100000, 0}, {0x110000, 0}, {0x120000, 300 * 512 - 0x20000}});
        if (first) r.start(false);
        r.out(7, 0x35);
        if (!first) {
            r.clock.advance(kSecond);
            CHECK(r.alt() == kReadyDrq);
            r.start(false);
        }
        r.clock.advance(kSecond);
        CHECK(r.alt() == kReady);
        CHECK(r.bm_status() == 0x04);
        CHECK(r.sectors(1000, 300) == data);
    }
}

TEST_CASE("a table longer than the transfer leaves the engine active, a shorter one hangs the drive") {
    DiskRig r;
    r.address(0, 1);
    r.table({{0x10000, 1024}});
    r.start(true);
    r.command(0xC8);
    CHECK(r.bm_status() == 0x05);
    r.stop();
    CHECK(r.bm_status() == 0x04);
    r.ide.bar_write(4, 2, 4, 1);
    r.in(7);
    r.address(0, 2);
    r.table({{0x10000, 512}});
    r.start(true);
    r.out(7, 0xC8);
    r.clock.advance(kSecond);
    CHECK(r.bm_status() == 0x00);
    CHECK((r.alt() & 0x08));
    CHECK(r.irq14.low());
    r.stop();
    // Software reset gets the drive back.
    r.control().io_write(0, 0x04, 1);
    CHECK((r.alt() & 0x80));
    r.control().io_write(0, 0x00, 1);
    CHECK(r.settle() == kReady);
    CHECK(r.in(2) == 1);
}

TEST_CASE("hostile tables and registers do no harm") {
    DiskRig r;
    r.table({{0xFFFFFFFE, 0}, {0, 2}, {0xFFFFFFF0, 0x100}});
    r.address(0, 0);
    r.start(true);
    r.out(7, 0xC8);
    r.start(false);
    r.ide.bar_write(4, 4, 0xFFFFFFFF, 4);
    r.clock.advance(kSecond);
    r.stop();
    r.start(true);
    r.clock.advance(kSecond);
    // Every command with arbitrary registers, in the middle of whatever the last one began.
    u32 x = 1;
    for (unsigned i = 0; i < 20000; ++i) {
        x = x * 1664525u + 1013904223u;
        const u16 reg = static_cast<u16>(x >> 28 & 7);
        switch (x >> 24 & 7) {
        case 0: r.ports().io_read(reg, 1u << (x >> 16 & 1)); break;
        case 1: r.ide.bar_write(4, x >> 20 & 15, x >> 8 & 0xFF, 1); break;
        case 2: r.clock.advance(x & 0xFFFF); break;
        case 3: r.control().io_write(0, x >> 12 & 0x82, 1); break;
        default: r.ports().io_write(reg, x >> 8 & 0xFFFF, 1u << (x >> 20 & 1)); break;
        }
    }
    r.control().io_write(0, 4, 1);
    r.control().io_write(0, 0, 1);
    CHECK(r.settle() != 0);
}

TEST_CASE("nIEN holds the interrupt back") {
    DiskRig r;
    r.control().io_write(0, 0x02, 1);
    r.command(0xE7);
    CHECK(r.irq14.low());
    r.control().io_write(0, 0x00, 1);
    CHECK(r.irq14.high());
    r.alt();
    CHECK(r.irq14.high());
    r.in(7);
    CHECK(r.irq14.low());
    CHECK(r.image.flushes() == 1);
}

TEST_CASE("SET FEATURES: transfer modes show in IDENTIFY") {
    DiskRig r;
    const auto identify = [&r] {
        r.command(0xEC);
        return r.read_data(512);
    };
    r.out(1, 0x03), r.out(2, 0x22);
    CHECK(r.command(0xEF) == kReady);
    CHECK(word(identify(), 63) == 0x0407);
    r.out(2, 0x44);
    CHECK(r.command(0xEF) == kReady);
    CHECK(word(identify(), 63) == 0x0007);
    CHECK(word(identify(), 88) == 0x103F);
    r.out(2, 0x47);
    CHECK(r.command(0xEF) == kFailed);
    CHECK((word(identify(), 85) & 0x20));
    r.out(1, 0x82);
    CHECK(r.command(0xEF) == kReady);
    CHECK_FALSE((word(identify(), 85) & 0x20));
    r.out(1, 0x77);
    CHECK(r.command(0xEF) == kFailed);
}

TEST_CASE("power modes, native size, SMART, buffer, diagnostic and unknown commands") {
    DiskRig r;
    CHECK(r.command(0xE5) == kReady);
    CHECK(r.in(2) == 0xFF);
    r.command(0xE0);
    r.command(0xE5);
    CHECK(r.in(2) == 0x00);
    r.out(6, 0xE0);
    CHECK(r.command(0xF8) == kReady);
    CHECK((r.in(3) | r.in(4) << 8) == 16383);
    CHECK(r.command(0xE5) == kReady);
    CHECK(r.in(2) == 0xFF);
    CHECK(r.command(0x27) == kReady);
    r.out(1, 0xDA), r.out(4, 0x4F), r.out(5, 0xC2);
    CHECK(r.command(0xB0) == kReady);
    CHECK(r.in(4) == 0x4F);
    r.out(1, 0xD0);
    CHECK(r.command(0xB0) == kReadyDrq);
    const auto smart = r.read_data(512);
    CHECK(static_cast<u8>(std::accumulate(smart.begin(), smart.end(), 0u)) == 0);
    r.out(4, 0);
    CHECK(r.command(0xB0) == kFailed);
    const auto data = pattern(512, 3);
    CHECK(r.command(0xE8) == kReadyDrq);
    r.write_data(data);
    CHECK(r.settle() == kReady);
    CHECK(r.command(0xE4) == kReadyDrq);
    CHECK(r.read_data(512) == data);
    CHECK(r.command(0x00) == kFailed);
    CHECK(r.command(0xA1) == kFailed);
    CHECK(r.command(0x08) == kFailed);
    CHECK(r.in(1) == 0x04);
    CHECK(r.command(0x90) == kReady);
    CHECK(r.irq14.high());
    CHECK(r.in(1) == 0x01);
    r.command(0xE6);  // SLEEP: deaf until reset
    r.in(7);
    r.out(7, 0xEC);
    CHECK(r.settle() == kReady);
    r.control().io_write(0, 4, 1), r.control().io_write(0, 0, 1);
    r.settle();
    CHECK(r.command(0xEC) == kReadyDrq);
}

TEST_CASE("host failures are media errors; a read-only image refuses writes") {
    DiskRig r;
    r.image.set_failing(true);
    r.address(3, 1);
    CHECK(r.command(0x20) == kFailed);
    CHECK(r.in(1) == 0x40);
    CHECK(r.in(3) == 3);
    CHECK(r.command(0x30) == kReadyDrq);
    r.write_data(pattern(512));
    CHECK((r.settle() & 0x21) == 0x21);
    CHECK((r.command(0xE7) & 0x21) == 0x21);
    r.image.set_failing(false);
    r.image.set_read_only(true);
    CHECK(r.command(0x30) == kFailed);
    CHECK(r.in(1) == 0x44);
}

TEST_CASE("two drives on one cable") {
    DiskRig r;
    MemoryImage second{pattern(1 * kMiB, 5)};
    AtaDisk slave{r.clock, second, {.model = "SECOND"}};
    r.attach(0, 1, slave);
    r.address(2, 1, 0xF0);
    r.command(0x20);
    CHECK(r.read_data(512) == slice(second.data(), 1024, 512));
    r.address(2, 1, 0xE0);
    r.command(0x20);
    CHECK(r.read_data(512) == r.sectors(2, 1));
    r.out(6, 0xF0);
    CHECK(r.command(0x90) == kReady);  // device 0 reports
    CHECK(r.in(6) == 0x00);
}

TEST_CASE("tiny and odd-sized disks have a usable geometry") {
    Clock clock;
    MemoryImage tiny{700}, small{200 * 512};
    AtaDisk a{clock, tiny}, b{clock, small};
    CHECK(a.sectors() == 2);
    CHECK(a.geometry().sectors == 2);
    CHECK(b.geometry().heads == 3);
    CHECK(b.geometry().cylinders == 1);
}

TEST_CASE("save, load and go on in the middle of PIO and DMA") {
    for (u8 opcode : {0x20, 0x30, 0xC8, 0xCA}) {
        CAPTURE(opcode);
        const bool dma = opcode >= 0xC0, reads = opcode == 0x20 || opcode == 0xC8;
        const auto data = pattern(200 * 512, 31);
        DiskRig a;
        a.address(40, 200);
        std::copy(data.begin(), data.end(), a.memory.bytes.begin() + 0x100000);
        a.table({{0x100000, 0}, {0x110000, 200 * 512 - 0x10000}});
        a.start(reads);
        a.out(7, opcode);
        std::vector<u8> got;
        if (dma) {
            a.clock.advance(100'000);
        } else {
            a.settle();
            if (reads) got = a.read_data(100);
            else a.write_data(std::span{data}.first(100));
        }
        DiskRig b;
        b.memory.bytes = a.memory.bytes;
        b.image.data() = a.image.data();
        const auto saved = a.save();
        REQUIRE(b.load(saved));
        CHECK(b.save() == saved);
        if (dma) {
            b.clock.advance(kSecond);
            CHECK(b.bm_status() == 0x04);
        }
        for (size_t at = 100; !dma && at < data.size();) {
            const size_t n = std::min<size_t>(512 - at % 512, data.size() - at);
            CHECK(b.settle() == kReadyDrq);
            if (reads) for (u8 byte : b.read_data(n)) got.push_back(byte);
            else b.write_data(std::span{data}.subspan(at, n));
            at += n;
        }
        CHECK(b.settle() == kReady);
        if (!reads) CHECK(b.sectors(40, 200) == data);
        else if (dma) CHECK(slice(b.memory.bytes, 0x100000, 200 * 512) == b.sectors(40, 200));
        else CHECK(got == b.sectors(40, 200));
    }
}

TEST_CASE("damaged state is survived") {
    DiskRig a;
    a.address(0, 9);
    a.command(0x20);
    const auto saved = a.save();
    u32 x = 7;
    for (int i = 0; i < 300; ++i) {
        auto bad = saved;
        for (int k = 0; k < 40; ++k) {
            x = x * 1664525u + 1013904223u;
            // Mostly the drive's own fields, which stand before and behind its buffer.
            const size_t at = (x >> 8) % 2 ? (x >> 9) % std::min<size_t>(bad.size(), 700) : bad.size() - 1 - (x >> 9) % 120;
            bad[at] = static_cast<u8>(x >> 24);
        }
        if (x & 4) bad.resize((x >> 8) % bad.size());
        DiskRig b;
        b.load(bad);
        b.enable();
        for (int k = 0; k < 600; ++k) b.ports().io_read(0, 2);
        b.write_data(pattern(512));
        b.clock.advance(100'000'000);
        b.control().io_write(0, 4, 1), b.control().io_write(0, 0, 1);
        b.clock.advance(100'000'000);
        b.address(0, 1);
        b.out(7, 0x20);
        b.clock.advance(100'000'000);
    }
}
