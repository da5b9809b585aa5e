// A file that goes when its object does.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "bios/fw_cfg_items.h"

namespace calque {

class TempFile {
public:
    explicit TempFile(const Bytes& bytes) {
        char name[] = "/tmp/calque-test-XXXXXX";
        const int fd = ::mkstemp(name);
        path = name;
        if (fd < 0 || ::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
        ::close(fd);
    }
    ~TempFile() { ::unlink(path.c_str()); }
    TempFile(const TempFile&) = delete;
    TempFile& operator=(const TempFile&) = delete;
    std::string path;
};
}  // namespace calque
