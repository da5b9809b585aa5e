#include <doctest/doctest.h>
#include <png.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "frontend/png.h"

using namespace calque;

TEST_CASE("a frame comes back from its PNG pixel by pixel") {
    Frame f;
    f.resize(33, 17);
    for (u32 i = 0; i < f.pixels.size(); ++i) f.pixels[i] = i * 0x01030705 & 0xFFFFFF;
    char dir[] = "/tmp/calque-png-XXXXXX";
    REQUIRE(mkdtemp(dir));
    const std::string path = std::string{dir} + "/shot.png";
    REQUIRE(write_png(path, f));
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    REQUIRE(png_image_begin_read_from_file(&image, path.c_str()));
    CHECK(image.width == 33);
    CHECK(image.height == 17);
    image.format = PNG_FORMAT_RGB;
    std::vector<u8> rgb(PNG_IMAGE_SIZE(image));
    REQUIRE(png_image_finish_read(&image, nullptr, rgb.data(), 0, nullptr));
    bool same = true;
    for (u32 i = 0; i < f.pixels.size(); ++i)
        same &= (u32{rgb[3 * i]} << 16 | u32{rgb[3 * i + 1]} << 8 | rgb[3 * i + 2]) == f.pixels[i];
    CHECK(same);
    unlink(path.c_str()), rmdir(dir);
}

TEST_CASE("what cannot be written is said in one sentence and leaves nothing behind") {
    Frame f;
    CHECK_FALSE(write_png("/tmp/calque-empty.png", f));
    f.resize(2, 2);
    auto r = write_png("/nonexistent-folder/shot.png", f);
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find("/nonexistent-folder/shot.png") != std::string::npos);
    char dir[] = "/tmp/calque-png-XXXXXX";
    REQUIRE(mkdtemp(dir));
    CHECK_FALSE(write_png(dir, f));  // a folder
    CHECK(access((std::string{dir} + ".part").c_str(), F_OK) != 0);
    rmdir(dir);
}
