// The path of an option ROM that nobody runs: 512 bytes with the right checksum.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "support/types.h"

namespace calque::test {

inline std::string vga_rom() {
    struct File {
        std::string path = "/tmp/calque-vga-XXXXXX";
        File() {
            const int fd = ::mkstemp(path.data());
            std::vector<u8> rom(512);
            rom[0] = 0x55, rom[1] = 0xaa, rom[2] = 1, rom[511] = static_cast<u8>(-(0x55 + 0xaa + 1));
            if (::write(fd, rom.data(), rom.size()) != 512) std::abort();
            ::close(fd);
        }
        ~File() { ::unlink(path.c_str()); }
    };
    static const File file;
    return file.path;
}
}  // namespace calque::test
