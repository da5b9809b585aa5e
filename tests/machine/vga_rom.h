// The path of an option ROM that nobody runs: 512 bytes with the right checksum.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "support/types.h"

namespace calque::test {

inline std::string vga_rom() {
    static const std::string path = [] {
        char name[] = "/tmp/calque-vga-XXXXXX";
        const int fd = ::mkstemp(name);
        std::vector<u8> rom(512);
        rom[0] = 0x55, rom[1] = 0xaa, rom[2] = 1, rom[511] = static_cast<u8>(-(0x55 + 0xaa + 1));
        if (::write(fd, rom.data(), rom.size()) != 512) std::abort();
        ::close(fd);
        std::atexit([] { ::unlink(path.c_str()); });
        return std::string{name};
    }();
    return path;
}
}  // namespace calque::test
