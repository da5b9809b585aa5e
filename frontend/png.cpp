#include "frontend/png.h"

#include <png.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace calque {

Result<std::vector<u8>> encode_png(const Frame& f) {
    if (f.width == 0 || f.height == 0) return Error{"there is no picture to save: the screen has no size yet"};
    std::vector<u8> rgb;
    rgb.reserve(f.pixels.size() * 3);
    for (u32 p : f.pixels) rgb.push_back(static_cast<u8>(p >> 16)), rgb.push_back(static_cast<u8>(p >> 8)), rgb.push_back(static_cast<u8>(p));
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = f.width, image.height = f.height, image.format = PNG_FORMAT_RGB;
    std::vector<u8> out(PNG_IMAGE_PNG_SIZE_MAX(image));
    png_alloc_size_t size = out.size();
    if (!png_image_write_to_memory(&image, out.data(), &size, 0, rgb.data(), 0, nullptr))
        return Error{std::string{"cannot encode the screenshot: "} + image.message};
    out.resize(size);
    return out;
}

Result<void> write_png(const std::string& path, const Frame& f) {
    auto png = encode_png(f);
    if (!png) return png.error();
    // A screenshot is written beside its target first: whoever waits for the file never sees half of it.
    // Devices such as /dev/stdout cannot be replaced and are written to directly.
    const bool direct = path.starts_with("/dev/");
    const std::string to = direct ? path : path + ".part";
    auto failed = [&] {
        std::string why = "cannot write the screenshot to ";
        return Error{why.append(path).append(": ").append(std::strerror(errno))};
    };
    std::FILE* file = std::fopen(to.c_str(), "wb");
    if (!file) return failed();
    const bool written = std::fwrite(png->data(), 1, png->size(), file) == png->size();
    const bool closed = std::fclose(file) == 0;
    if (written && closed && (direct || std::rename(to.c_str(), path.c_str()) == 0)) return {};
    Error e = failed();
    if (!direct) std::remove(to.c_str());
    return e;
}
}  // namespace calque
