#include "machine/phys_map.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace calque;

namespace {
struct Recorder final : MmioDevice {
    u64 last_offset = 0, last_value = 0;
    unsigned last_size = 0, reads = 0, writes = 0;
    u64 mmio_read(u64 offset, unsigned size) override { return ++reads, last_offset = offset, last_size = size, 0x1122334455667788; }
    void mmio_write(u64 offset, u64 value, unsigned size) override { ++writes, last_offset = offset, last_value = value, last_size = size; }
};
struct Rig {
    std::unique_ptr<PhysMap> map = std::move(*PhysMap::create(64 * kMiB));
    unsigned changes = 0, stores = 0;
    Rig() {
        map->on_change = [&] { ++changes; };
        map->on_memory_write = [&](const u8*, size_t) { ++stores; };
    }
};
}  // namespace

TEST_CASE("PhysMap: RAM is plain, holes read as ones and swallow writes") {
    Rig r;
    CHECK(r.map->page(0x200000).host == r.map->ram().data() + 0x200000);
    CHECK(r.map->page(0x200000).writable);
    CHECK(r.map->page(0x9f000).writable);
    CHECK(r.map->page(0xa0000).host == nullptr);
    CHECK(r.map->page(64 * kMiB).host == nullptr);
    CHECK(r.map->read(0x80000000, 4) == 0xffffffff);
    CHECK(r.map->read(~u64{0} - 7, 8) == ~u64{0});
    r.map->write(0x80000000, 1, 4);
    r.map->write(0x300000, 0x1234, 2);
    CHECK(r.map->ram()[0x300000] == 0x34);
    CHECK(r.stores == 1);
}

TEST_CASE("PhysMap: RAM beyond 3 GiB continues at 4 GiB") {
    auto map = std::move(*PhysMap::create(5 * kGiB));
    CHECK(map->low_ram() == 3 * kGiB);
    CHECK(map->high_ram() == 2 * kGiB);
    CHECK(map->page(0xbffff000).host == map->ram().data() + 0xbffff000);
    CHECK(map->page(0xc0000000).host == nullptr);
    CHECK(map->page(4 * kGiB).host == map->ram().data() + 0xc0000000);
    CHECK(map->page(6 * kGiB - 4096).host != nullptr);
    CHECK(map->page(6 * kGiB).host == nullptr);
}

TEST_CASE("PhysMap: PAM in its four settings") {
    Rig r;
    std::vector<u8> rom(0x20000, 0x5a);
    r.map->map_isa_rom(0xe0000, rom);
    CHECK(r.map->page(0xf0000).host == rom.data() + 0x10000);
    CHECK_FALSE(r.map->page(0xf0000).writable);
    r.map->write(0xf0000, 0x11, 1);
    CHECK(rom[0x10000] == 0x5a);
    CHECK(r.map->ram()[0xf0000] == 0);

    r.map->set_pam(0xf0000, 0x10000, false, true);  // reads ROM, writes RAM: how firmware copies itself
    r.map->write(0xf0000, 0x11, 1);
    CHECK(r.map->read(0xf0000, 1) == 0x5a);
    CHECK(r.map->ram()[0xf0000] == 0x11);

    r.map->set_pam(0xf0000, 0x10000, true, false);
    CHECK(r.map->page(0xf0000).host == r.map->ram().data() + 0xf0000);
    CHECK_FALSE(r.map->page(0xf0000).writable);
    r.map->write(0xf0000, 0x22, 1);
    CHECK(r.map->read(0xf0000, 1) == 0x11);

    r.map->set_pam(0xf0000, 0x10000, true, true);
    CHECK(r.map->page(0xf0000).writable);
    CHECK(r.map->read(0xc8000, 2) == 0xffff);  // no ROM there, PAM off
}

TEST_CASE("PhysMap: SMRAM behind the VGA window") {
    Rig r;
    Recorder vga;
    r.map->map_isa_device(0xa0000, 0x20000, vga);
    r.map->write(0xb8000, 0x0741, 2);
    CHECK(vga.last_offset == 0x18000);
    CHECK(vga.last_value == 0x0741);
    r.map->set_smram(true, true);
    CHECK(r.map->page(0xa8000).host == r.map->ram().data() + 0xa8000);
    r.map->set_smram(true, false);
    CHECK(r.map->page(0xa8000).host == nullptr);
    const unsigned before = r.changes;
    r.map->set_smm(true);
    CHECK(r.changes == before + 1);
    CHECK(r.map->page(0xa8000).writable);
    r.map->set_smm(false);
    CHECK(r.map->page(0xa8000).host == nullptr);
}

TEST_CASE("PhysMap: A20 folds the second megabyte onto the first") {
    Rig r;
    r.map->set_a20(false);
    CHECK(r.map->page(0x100000).host == r.map->ram().data());
    r.map->write(0x312345, 7, 1);
    CHECK(r.map->ram()[0x212345] == 7);
    u8 byte = 9;
    r.map->dma_write(0x312345, {&byte, 1});
    CHECK(r.map->ram()[0x312345] == 9);
    r.map->set_a20(true);
    CHECK(r.map->page(0x100000).host == r.map->ram().data() + 0x100000);
}

TEST_CASE("PhysMap: windows move, small ones have no page, odd accesses are cut") {
    Rig r;
    Recorder small;
    std::vector<u8> fb(0x10000, 1), rom(0x1000, 2);
    r.map->map_device({&small, 0}, 0xfec00000, 0x20, small);
    CHECK(r.map->page(0xfec00000).host == nullptr);
    CHECK(r.map->read(0xfec00010, 4) == 0x55667788);
    CHECK(small.last_offset == 0x10);
    r.map->read(0xfec00011, 2);
    CHECK(small.last_size == 1);
    CHECK(r.map->read(0xfec00020, 4) == 0xffffffff);
    r.map->map_memory({&r, 0}, 0xe0000000, 0x10000, fb, true);
    CHECK(r.map->page(0xe0001000).host == fb.data() + 0x1000);
    CHECK(r.map->page(0xe0001000).writable);
    r.map->map_memory({&r, 0}, 0xe8000000, 0x10000, fb, true);
    CHECK(r.map->page(0xe0001000).host == nullptr);
    CHECK(r.map->page(0xe8001000).host == fb.data() + 0x1000);
    r.map->map_memory({&r, 6}, 0xe8000000, 0x1000, rom, false);  // mapped later: on top
    CHECK(r.map->page(0xe8000000).host == rom.data());
    CHECK_FALSE(r.map->page(0xe8000000).writable);
    r.map->write(0xe8000000, 7, 1);
    CHECK(rom[0] == 2);
    r.map->unmap({&r, 6});
    CHECK(r.map->page(0xe8000000).host == fb.data());
}

TEST_CASE("PhysMap: DMA crosses pages, misses devices, and announces what it changes") {
    Rig r;
    std::vector<u8> data(10000);
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<u8>(i * 7);
    r.map->dma_write(0x200ff0, data);
    CHECK(r.stores == 4);
    std::vector<u8> back(10000);
    r.map->dma_read(0x200ff0, back);
    CHECK(back == data);
    r.map->dma_write(64 * kMiB - 5000, data);
    CHECK(r.map->ram()[64 * kMiB - 1] == data[4999]);
    r.map->dma_read(64 * kMiB - 5000, back);
    CHECK(std::all_of(back.begin() + 5000, back.end(), [](u8 b) { return b == 0xff; }));
    r.map->dma_write(~u64{0} - 100, data);  // wraps: nothing is there, then low memory
}
