#include "machine/block/overlay_image.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <random>

#include "machine/block/memory_image.h"

using namespace calque;

namespace {
std::vector<u8> pattern(size_t n) {
    std::vector<u8> bytes(n);
    for (size_t k = 0; k < n; ++k) bytes[k] = static_cast<u8>(k * 7 + (k >> 8));
    return bytes;
}
}  // namespace

TEST_CASE("an overlay reads as if it had been written, and the image stays as it was") {
    constexpr size_t kSize = 40 * 512 + 64 * 4096;  // the last piece is not whole
    auto base = std::make_unique<MemoryImage>(pattern(kSize));
    MemoryImage& image = *base;
    image.set_read_only(true);
    auto overlay = OverlayImage::open(std::move(base));
    REQUIRE(overlay);
    BlockImage& disk = **overlay;
    CHECK(disk.size() == kSize);
    CHECK_FALSE(disk.read_only());

    std::vector<u8> expected = pattern(kSize);
    std::mt19937 random{7};
    for (unsigned round = 0; round < 600; ++round) {
        CAPTURE(round);
        const u64 offset = random() % (kSize / 512) * 512, most = std::min<u64>(kSize - offset, 5 * 4096);
        std::vector<u8> bytes(random() % (most / 512 + 1) * 512);
        if (random() % 2) {
            for (u8& b : bytes) b = static_cast<u8>(random());
            REQUIRE(disk.write(offset, bytes));
            std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
        } else {
            REQUIRE(disk.read(offset, bytes));
            REQUIRE(std::equal(bytes.begin(), bytes.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset)));
        }
    }
    std::vector<u8> all(kSize);
    REQUIRE(disk.read(0, all));
    CHECK(all == expected);
    CHECK(image.data() == pattern(kSize));
    CHECK(disk.flush());
}

TEST_CASE("an overlay refuses what lies behind its end") {
    auto overlay = OverlayImage::open(std::make_unique<MemoryImage>(pattern(8192)));
    REQUIRE(overlay);
    std::vector<u8> sector(512);
    CHECK_FALSE((*overlay)->read(8192, sector));
    CHECK_FALSE((*overlay)->write(8192 - 256, sector));
    CHECK_FALSE((*overlay)->write(~u64{0} - 100, sector));
    CHECK((*overlay)->write(8192, {}));
}

TEST_CASE("an overlay without a place for its file says where it looked") {
    const char* before = getenv("TMPDIR");
    const std::string kept = before ? before : "";
    setenv("TMPDIR", "/nowhere/at/all", 1);
    auto overlay = OverlayImage::open(std::make_unique<MemoryImage>(pattern(512)));
    before ? setenv("TMPDIR", kept.c_str(), 1) : unsetenv("TMPDIR");
    REQUIRE_FALSE(overlay);
    CHECK(overlay.error().message.find("/nowhere/at/all") != std::string::npos);
}
