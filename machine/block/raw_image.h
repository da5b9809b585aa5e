// A raw image file (or block device) of the host.
#pragma once
#include <memory>
#include <string>

#include "support/host.h"
#include "support/result.h"

namespace calque {

class RawImage final : public BlockImage {
public:
    /// Opens and locks the file: one writer, or any number of readers. A size that is no multiple of 512 is rounded up
    /// and the missing bytes read as zeros; the first write to the last sector makes the file that long.
    static Result<std::unique_ptr<BlockImage>> open(const std::string& path, bool read_only);
    ~RawImage() override;
    RawImage(const RawImage&) = delete;
    RawImage& operator=(const RawImage&) = delete;

    u64 size() const override { return size_; }
    bool read_only() const override { return read_only_; }
    bool read(u64 offset, std::span<u8> out) override;
    bool write(u64 offset, std::span<const u8> in) override;
    bool flush() override;

private:
    RawImage(int fd, std::string path, bool read_only) : fd_{fd}, path_{std::move(path)}, read_only_{read_only} {}
    bool covers(u64 offset, u64 bytes) const { return offset <= size_ && bytes <= size_ - offset; }
    int fd_;
    std::string path_;
    bool read_only_;
    u64 size_ = 0;
};
}  // namespace calque
