#include "machine/block/raw_image.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/temp_folder.h"

using namespace calque;

namespace {
struct Folder : test::TempFolder {
    std::string file(const char* name, size_t size, char fill = 'x') {
        std::ofstream{path / name, std::ios::binary} << std::string(size, fill);
        return (path / name).string();
    }
};
bool says(const Result<std::unique_ptr<BlockImage>>& r, const char* words) {
    return !r && r.error().message.find(words) != std::string::npos;
}
}  // namespace

TEST_CASE("a raw image reads and writes whole sectors and keeps them") {
    Folder f;
    const std::string path = f.file("disk", 4096);
    {
        auto image = RawImage::open(path, false);
        REQUIRE(image);
        CHECK((*image)->size() == 4096);
        CHECK_FALSE((*image)->read_only());
        std::array<u8, 512> sector{};
        sector[7] = 42;
        CHECK((*image)->write(512, sector));
        CHECK((*image)->flush());
        CHECK_FALSE((*image)->write(4096, sector));
        CHECK_FALSE((*image)->read(4096 - 256, sector));
        CHECK_FALSE((*image)->read(~u64{0} - 100, sector));
    }
    auto image = RawImage::open(path, true);
    REQUIRE(image);
    std::array<u8, 1024> out{};
    CHECK((*image)->read(0, out));
    CHECK(out[0] == 'x');
    CHECK(out[512 + 7] == 42);
    CHECK_FALSE((*image)->write(0, out));
}

TEST_CASE("a size that is no multiple of 512 reads zeros behind the end and grows when written") {
    Folder f;
    const std::string path = f.file("odd", 700);
    auto image = RawImage::open(path, false);
    REQUIRE(image);
    CHECK((*image)->size() == 1024);
    std::array<u8, 512> s;
    s.fill(0xEE);
    REQUIRE((*image)->read(512, s));
    CHECK(s[187] == 'x');
    CHECK(s[188] == 0);
    CHECK(s[511] == 0);
    CHECK(std::filesystem::file_size(path) == 700);
    REQUIRE((*image)->write(512, s));
    CHECK(std::filesystem::file_size(path) == 1024);
}

TEST_CASE("bad images are refused with one sentence, and nothing is created or changed") {
    Folder f;
    const std::string missing = (f.path / "missing").string();
    CHECK(says(RawImage::open(missing, false), "no such file"));
    CHECK_FALSE(std::filesystem::exists(missing));
    CHECK(says(RawImage::open(f.path.string(), true), "is a directory"));
    CHECK(says(RawImage::open(f.file("empty", 0), true), "is empty"));
    CHECK(says(RawImage::open("/dev/null", true), "neither a file nor a block device"));
    const std::string fifo = (f.path / "fifo").string();
    REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
    CHECK(says(RawImage::open(fifo, true), "neither a file nor a block device"));
    const std::string locked = f.file("readonly", 512);
    chmod(locked.c_str(), 0444);
    CHECK(says(RawImage::open(locked, false), "read-only"));
    CHECK(RawImage::open(locked, true));
    const auto r = RawImage::open(missing, false);
    CHECK(r.error().message.rfind("disk image: " + missing + ": ", 0) == 0);
    CHECK(r.error().message.back() != '.');
}

TEST_CASE("one writer or many readers") {
    Folder f;
    const std::string path = f.file("disk", 512);
    auto writer = RawImage::open(path, false);
    REQUIRE(writer);
    CHECK(says(RawImage::open(path, false), "in use"));
    CHECK(says(RawImage::open(path, true), "in use"));
    (*writer).reset();
    auto one = RawImage::open(path, true), two = RawImage::open(path, true);
    CHECK(one);
    CHECK(two);
    CHECK(says(RawImage::open(path, false), "in use"));
}
