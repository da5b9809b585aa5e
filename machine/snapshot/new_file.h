// A file that appears under its name only when it is complete: whoever interrupts us leaves the old one whole.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "support/result.h"

namespace calque {

class NewFile {
public:
    static Result<std::unique_ptr<NewFile>> create(const std::string& path);
    ~NewFile();   // what was not committed is gone
    NewFile(const NewFile&) = delete;
    int fd() const { return fd_; }
    Result<void> write(std::string_view);
    /// On the disk, then in place of what had the name before.
    Result<void> commit();

private:
    NewFile(std::string path, int fd, std::string temporary) : path_{std::move(path)}, fd_{fd}, temporary_{std::move(temporary)} {}
    Result<void> name_it();
    std::string path_;
    int fd_;
    std::string temporary_;   // its name until then; empty: none
};

Error cannot_write(const std::string& path);   // says what errno says
}  // namespace calque
