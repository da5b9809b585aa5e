#include "devices/storage/atapi_cdrom.h"

#include "devices/storage/cd_sector.h"
#include "tests/devices/storage_rig.h"

using namespace calque;

namespace {
using Packet = std::vector<u8>;

struct CdRig : IdeRig {
    MemoryImage disc{pattern(300 * 2048)};
    AtapiCdrom cd{clock};
    explicit CdRig(bool with_disc = true) {
        if (with_disc) cd.insert(&disc);
        attach(1, 0, cd);
        packet({0x03, 0, 0, 0, 18});  // takes the unit attention of power on
    }
    /// Sends a packet and, in PIO, collects whatever comes back. Returns the final status.
    std::vector<u8> data;
    u8 begin(Packet p, u16 limit = 0xFFFE, bool dma = false) {
        p.resize(12);
        out(6, 0xA0, 1);
        out(1, dma, 1);
        out(4, static_cast<u8>(limit), 1), out(5, static_cast<u8>(limit >> 8), 1);
        CHECK((command(0xA0, 1) & 0x89) == 0x08);
        CHECK(in(2, 1) == 1);
        CHECK(irq15.low());
        write_data(p, 1);
        return settle(1);
    }
    u8 packet(Packet p, u16 limit = 0xFFFE) {
        data.clear();
        u8 status = begin(std::move(p), limit);
        while (status & 0x08) {
            CHECK(irq15.high());
            CHECK(in(2, 1) == 2);
            in(7, 1);
            const unsigned n = in(4, 1) | in(5, 1) << 8;
            CHECK(n <= limit);
            for (u8 b : read_data(n, 1)) data.push_back(b);
            status = settle(1);
        }
        CHECK(irq15.high());
        CHECK(in(2, 1) == 3);
        in(7, 1);
        return status;
    }
    unsigned sense() {
        packet({0x03, 0, 0, 0, 18});
        return data[2] << 16 | data[12] << 8 | data[13];
    }
};
}  // namespace

TEST_CASE("signature and IDENTIFY") {
    CdRig r;
    r.control(1).io_write(0, 4, 1), r.control(1).io_write(0, 0, 1);
    CHECK(r.settle(1) == 0x00);
    CHECK(r.in(4, 1) == 0x14);
    CHECK(r.in(5, 1) == 0xEB);
    CHECK((r.command(0xEC, 1) & 1));
    CHECK(r.in(1, 1) == 0x04);
    CHECK(r.in(4, 1) == 0x14);
    CHECK(r.command(0xA1, 1) == 0x58);
    const auto d = r.read_data(512, 1);
    CHECK(word(d, 0) == 0x85C0);
    CHECK(text(d, 27, 20).substr(0, 13) == "CALQUE CD-ROM");
    CHECK(r.alt(1) == 0x50);
    r.out(7, 0x08, 1);  // DEVICE RESET
    CHECK(r.settle(1) == 0x00);
    CHECK(r.in(1, 1) == 0x01);
}

TEST_CASE("unit attention first, then ready") {
    CdRig r;
    r.cd.insert(&r.disc);
    CHECK((r.packet({0x00}) & 1));
    CHECK(r.in(1, 1) == 0x60);
    CHECK(r.sense() == 0x062800);
    CHECK(r.packet({0x00}) == 0x50);
    CHECK(r.sense() == 0);
}

TEST_CASE("INQUIRY and READ CAPACITY") {
    CdRig r;
    CHECK(r.packet({0x12, 0, 0, 0, 36}) == 0x50);
    CHECK(r.data.size() == 36);
    CHECK(r.data[0] == 0x05);
    CHECK(r.data[1] == 0x80);
    CHECK(std::string(r.data.begin() + 8, r.data.begin() + 14) == "CALQUE");
    r.packet({0x12, 0, 0, 0, 5});
    CHECK(r.data.size() == 5);
    CHECK(r.packet({0x12, 0, 0, 0, 0}) == 0x50);
    CHECK(r.data.empty());
    r.packet({0x25});
    CHECK(r.data == std::vector<u8>{0, 0, 1, 43, 0, 0, 8, 0});
}

TEST_CASE("READ(10) and READ(12) by PIO in blocks of any size") {
    CdRig r;
    for (u16 limit : {2048, 4096, 0xFFFE, 0x7FFF, 700, 2, 1}) {
        if (limit == 1) {  // an odd limit below a word still moves whole words
            r.begin({0x28, 0, 0, 0, 0, 0, 0, 0, 1}, 1);
            CHECK(r.in(4, 1) == 2);
            r.control(1).io_write(0, 4, 1), r.control(1).io_write(0, 0, 1);
            r.settle(1);
            continue;
        }
        CAPTURE(limit);
        CHECK(r.packet({0x28, 0, 0, 0, 0, 17, 0, 0, 40}, limit) == 0x50);
        CHECK(r.data == slice(r.disc.data(), 17 * 2048, 40 * 2048));
    }
    CHECK(r.packet({0xA8, 0, 0, 0, 0, 200, 0, 0, 0, 100}) == 0x50);
    CHECK(r.data == slice(r.disc.data(), 200 * 2048, 100 * 2048));
    CHECK(r.packet({0x28, 0, 0, 0, 1, 43, 0, 0, 2}) == 0x51);
    CHECK(r.sense() == 0x052100);
    CHECK(r.packet({0xA8, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}) == 0x51);
    CHECK(r.packet({0x28}) == 0x50);
}

TEST_CASE("READ(10) by DMA") {
    CdRig r;
    r.ide.bar_write(4, 12, 0x1000, 4);
    r.table({{0x100000, 0}, {0x110000, 0}, {0x120000, 0}});
    r.ide.bar_write(4, 12, 0x1000, 4);
    r.ide.bar_write(4, 8, 9, 1);
    CHECK(r.begin({0x28, 0, 0, 0, 0, 3, 0, 0, 96}, 0, true) == 0x50);
    CHECK(r.irq15.high());
    CHECK(r.ide.bar_read(4, 10, 1) == 0x04);
    CHECK(slice(r.memory.bytes, 0x100000, 96 * 2048) == slice(r.disc.data(), 3 * 2048, 96 * 2048));
    CHECK(r.in(2, 1) == 3);
}

TEST_CASE("a failing host is a medium error") {
    CdRig r;
    r.disc.set_failing(true);
    CHECK(r.packet({0x28, 0, 0, 0, 0, 0, 0, 0, 1}) == 0x51);
    CHECK(r.in(1, 1) == 0x30);
    CHECK(r.sense() == 0x031100);
}

TEST_CASE("READ TOC") {
    CdRig r;
    r.packet({0x43, 0, 0, 0, 0, 0, 0, 0, 100});
    CHECK(r.data == std::vector<u8>{0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xAA, 0, 0, 0, 1, 44});
    r.packet({0x43, 2, 0, 0, 0, 0, 0xAA, 0, 100});
    CHECK(r.data == std::vector<u8>{0, 10, 1, 1, 0, 0x14, 0xAA, 0, 0, 0, 6, 0});  // 300 + 150 frames = 00:06:00
    r.packet({0x43, 0, 1, 0, 0, 0, 0, 0, 12});
    CHECK(r.data == std::vector<u8>{0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0});
    r.packet({0x43, 0, 2, 0, 0, 0, 1, 0, 200});
    CHECK(r.data.size() == 4 + 4 * 11);
    CHECK(r.data[4 + 3] == 0xA0);
    CHECK(slice(r.data, 4 + 33, 11) == std::vector<u8>{1, 0x14, 0, 1, 0, 0, 0, 0, 0, 2, 0});
    CHECK(r.packet({0x43, 0, 0, 0, 0, 0, 2, 0, 100}) == 0x51);
    CHECK(r.sense() == 0x052400);
}

TEST_CASE("READ CD builds raw sectors whose EDC and ECC check") {
    CdRig r;
    CHECK(r.packet({0xBE, 0, 0, 0, 0, 16, 0, 0, 2, 0xF8}) == 0x50);
    REQUIRE(r.data.size() == 2 * 2352);
    CHECK(slice(r.data, 0, 16) == std::vector<u8>{0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0x00, 0x02, 0x16, 1});
    CHECK(slice(r.data, 16, 2048) == slice(r.disc.data(), 16 * 2048, 2048));
    // P parity: every column of 26 bytes has syndromes 0 (plain sum; sum weighted by powers of alpha).
    for (unsigned v = 0; v < 86; ++v) {
        u8 sum = 0, weighted = 0;
        for (unsigned i = 0; i < 26; ++i) {
            const u8 b = r.data[12 + v + 86 * i];
            sum ^= b;
            weighted = static_cast<u8>((weighted << 1 ^ (weighted & 0x80 ? 0x1D : 0)) ^ b);
        }
        CHECK(sum == 0);
        CHECK(weighted == 0);
    }
    // Q parity: 52 diagonals of 43 bytes and their two parity bytes.
    for (unsigned v = 0; v < 52; ++v) {
        u8 sum = 0, weighted = 0;
        for (unsigned i = 0; i < 45; ++i) {
            const unsigned at = i < 43 ? (v / 2 * 86 + v % 2 + 88 * i) % 2236 : 2236 + v + 52 * (i - 43);
            const u8 b = r.data[12 + at];
            sum ^= b;
            weighted = static_cast<u8>((weighted << 1 ^ (weighted & 0x80 ? 0x1D : 0)) ^ b);
        }
        CHECK(sum == 0);
        CHECK(weighted == 0);
    }
    CHECK(r.packet({0xBE, 0, 0, 0, 0, 16, 0, 0, 1, 0x10}) == 0x50);
    CHECK(r.data == slice(r.disc.data(), 16 * 2048, 2048));
    CHECK(r.packet({0xB9, 0, 0, 0, 2, 1, 0, 2, 3, 0x10}) == 0x50);
    CHECK(r.data == slice(r.disc.data(), 2048, 2 * 2048));
    CHECK(r.packet({0xBE, 4, 0, 0, 0, 0, 0, 0, 1, 0xF8}) == 0x51);  // CD-DA expected
    CHECK(r.sense() == 0x056400);
}

TEST_CASE("a sector of zeros has the published EDC") {
    std::array<u8, kCdDataSize> zero{};
    std::array<u8, kCdRawSize> raw{};
    build_raw_sector(0, zero, raw);
    CHECK(lba_of(msf_of(123456)) == 123456);
    u32 crc = 0;  // bit by bit, over everything including the stored EDC: the remainder is zero
    for (unsigned i = 0; i < 2068; ++i) {
        crc ^= raw[i];
        for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0xD8018001u : 0);
    }
    CHECK(crc == 0);
}

TEST_CASE("mode pages") {
    CdRig r;
    r.packet({0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 128});
    CHECK(r.data.size() == 28);
    CHECK(r.data[1] == 26);
    CHECK(r.data[2] == 0x01);
    CHECK(r.data[8] == 0x2A);
    CHECK((r.data[8 + 6] & 0xEB) == 0x29);
    r.packet({0x1A, 0, 0x01, 0, 255});
    CHECK(r.data.size() == 12);
    r.packet({0x5A, 0, 0x3F, 0, 0, 0, 0, 0, 255});
    CHECK(r.data.size() == 8 + 8 + 16 + 12 + 20);
    CHECK(r.packet({0x5A, 0, 0x05, 0, 0, 0, 0, 0, 128}) == 0x51);
    CHECK(r.packet({0x5A, 0, 0xC1, 0, 0, 0, 0, 0, 128}) == 0x51);
    CHECK(r.sense() == 0x053900);
    const auto select = [&r](std::vector<u8> list) {
        CHECK((r.begin({0x55, 0x10, 0, 0, 0, 0, 0, 0, static_cast<u8>(list.size())}) & 0x88) == 0x08);
        CHECK(r.in(2, 1) == 0);
        CHECK((r.in(4, 1) | r.in(5, 1) << 8) == list.size());
        r.write_data(list, 1);
        return r.settle(1);
    };
    CHECK(select({0, 0, 0, 0, 0, 0, 0, 0, 0x01, 6, 0x20, 9, 0, 0, 0, 0}) == 0x50);
    r.packet({0x5A, 0, 0x01, 0, 0, 0, 0, 0, 128});
    CHECK(r.data[8 + 3] == 9);
    CHECK(select({0, 0, 0, 0, 0, 0, 0, 0, 0x09, 2, 0, 0}) == 0x51);
    CHECK(r.sense() == 0x052600);
    CHECK(select({0, 0, 0, 0, 0, 0, 0, 0, 0x01, 60, 0, 0}) == 0x51);
    CHECK(r.sense() == 0x051A00);
    CHECK(select({0, 0, 0, 0, 0, 0, 0xFF, 0xFF}) == 0x50);
}

TEST_CASE("features, events, disc and mechanism") {
    CdRig r;
    r.packet({0x46, 0, 0, 0, 0, 0, 0, 1, 0});
    CHECK((r.data[6] << 8 | r.data[7]) == 0x0008);
    CHECK(r.data.size() == r.data[3] + 4u);
    r.packet({0x46, 2, 0, 0x03, 0, 0, 0, 1, 0});
    CHECK(r.data.size() == 16);
    CHECK(r.data[9] == 3);
    r.packet({0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8});
    CHECK(r.data == std::vector<u8>{0, 6, 4, 0x10, 2, 2, 0, 0});
    r.packet({0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8});
    CHECK(r.data[4] == 0);
    r.packet({0x4A, 1, 0, 0, 0x40, 0, 0, 0, 8});
    CHECK(r.data[2] == 0x80);
    CHECK(r.packet({0x4A, 0, 0, 0, 0x10, 0, 0, 0, 8}) == 0x51);
    r.packet({0x51, 0, 0, 0, 0, 0, 0, 0, 34});
    CHECK(r.data.size() == 34);
    CHECK(r.data[2] == 0x0E);
    r.packet({0x52, 1, 0, 0, 0, 1, 0, 0, 36});
    CHECK(r.data[27] == 44);
    r.packet({0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8});
    CHECK(r.data.size() == 8);
    r.packet({0x42, 0, 0x40, 1, 0, 0, 0, 0, 16});
    CHECK(r.data.size() == 16);
    CHECK(r.data[1] == 0x15);
    r.packet({0x42, 2, 0x40, 1, 0, 0, 0, 0, 16});
    CHECK(slice(r.data, 8, 8) == std::vector<u8>{0, 0, 2, 0, 0, 0, 0, 0});
    CHECK(r.packet({0xBB, 0, 0xFF, 0xFF}) == 0x50);
    CHECK(r.packet({0x2B, 0, 0, 0, 0, 9}) == 0x50);
    CHECK(r.packet({0x2A}) == 0x51);
    CHECK(r.sense() == 0x052000);
}

TEST_CASE("the guest locks, ejects and loads; the host changes the medium") {
    CdRig r;
    int moves = 0;
    r.cd.on_tray_moved = [&moves](bool) { ++moves; };
    CHECK(r.packet({0x1E, 0, 0, 0, 1}) == 0x50);
    CHECK(r.packet({0x1B, 0, 0, 0, 2}) == 0x51);
    CHECK(r.sense() == 0x055302);
    CHECK_FALSE(r.cd.eject(false));
    r.packet({0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8});
    CHECK(r.data[4] == 1);  // eject request
    CHECK(r.packet({0x1E, 0, 0, 0, 0}) == 0x50);
    CHECK(r.packet({0x1B, 0, 0, 0, 2}) == 0x50);
    CHECK(r.cd.tray_open());
    CHECK(moves == 1);
    CHECK(r.packet({0x00}) == 0x51);
    CHECK(r.sense() == 0x023A02);
    CHECK(r.packet({0x1B, 0, 0, 0, 3}) == 0x50);
    CHECK(moves == 2);
    CHECK(r.packet({0x00}) == 0x51);
    CHECK(r.sense() == 0x062800);
    CHECK(r.packet({0x00}) == 0x50);
    CHECK(r.cd.eject(false));
    CHECK(r.packet({0x28, 0, 0, 0, 0, 0, 0, 0, 1}) == 0x51);
    MemoryImage other{pattern(2048 * 10, 8)};
    r.cd.insert(&other);
    r.packet({0x00});
    r.packet({0x25});
    CHECK(r.data[3] == 9);
}

TEST_CASE("an empty drive, and one whose medium vanishes in the middle") {
    CdRig r{false};
    CHECK(r.packet({0x00}) == 0x51);
    CHECK(r.sense() == 0x023A01);
    CHECK(r.packet({0x43, 0, 0, 0, 0, 0, 0, 0, 12}) == 0x51);
    r.cd.insert(&r.disc);
    r.packet({0x00});
    CHECK((r.begin({0x28, 0, 0, 0, 0, 0, 0, 0, 9}, 2048) & 8));
    CHECK(r.cd.eject(true));
    r.read_data(2048, 1);
    CHECK(r.settle(1) == 0x51);
    CHECK(r.sense() == 0x023A02);
}

TEST_CASE("random packets do no harm") {
    CdRig r;
    u32 x = 3;
    for (int i = 0; i < 3000; ++i) {
        Packet p(12);
        for (auto& b : p) x = x * 1664525u + 1013904223u, b = static_cast<u8>(x >> 24) & (x & 0x100 ? 0xFF : 0x03);
        r.out(6, 0xA0, 1);
        r.out(1, x >> 20 & 1, 1);
        r.out(4, static_cast<u8>(x >> 12), 1), r.out(5, x & 0x200 ? static_cast<u8>(x >> 4) : 0, 1);
        r.out(7, 0xA0, 1);
        r.settle(1);
        r.write_data(p, 1);
        r.clock.advance(1'000'000);
        for (int k = 0; k < 50; ++k) r.ports(1).io_read(0, 2);
        r.write_data(p, 1);
        if (x & 0x400) r.out(7, 0x08, 1);
        r.clock.advance(1'000'000);
    }
}

TEST_CASE("save and load in the middle of a packet transfer") {
    CdRig a;
    CHECK((a.begin({0x28, 0, 0, 0, 0, 5, 0, 0, 20}, 4096) & 8));
    auto got = a.read_data(1000, 1);
    CdRig b;
    const auto saved = a.save();
    REQUIRE(b.load(saved));
    CHECK(b.save() == saved);
    for (u8 byte : b.read_data(3096, 1)) got.push_back(byte);
    while (b.settle(1) & 8)
        for (u8 byte : b.read_data(4096, 1)) got.push_back(byte);
    CHECK(got == slice(b.disc.data(), 5 * 2048, 20 * 2048));
}
