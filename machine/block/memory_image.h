// A disk in memory: for tests, and for media whose changes nobody keeps.
#pragma once
#include <algorithm>
#include <vector>

#include "support/host.h"

namespace calque {

class MemoryImage final : public BlockImage {
public:
    explicit MemoryImage(u64 bytes) : data_(bytes) {}
    explicit MemoryImage(std::vector<u8> data) : data_{std::move(data)} {}
    u64 size() const override { return data_.size(); }
    bool read_only() const override { return read_only_; }
    bool read(u64 offset, std::span<u8> out) override {
        if (!covers(offset, out.size())) return false;
        std::copy_n(data_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
        return true;
    }
    bool write(u64 offset, std::span<const u8> in) override {
        if (read_only_ || !covers(offset, in.size())) return false;
        std::copy(in.begin(), in.end(), data_.begin() + static_cast<std::ptrdiff_t>(offset));
        return true;
    }
    bool flush() override {
        ++flushes_;
        return !failing_;
    }
    void set_read_only(bool read_only) { read_only_ = read_only; }
    /// Makes every access fail, as a host whose disk has died would.
    void set_failing(bool failing) { failing_ = failing; }
    unsigned flushes() const { return flushes_; }
    std::vector<u8>& data() { return data_; }

private:
    bool covers(u64 offset, u64 size) const { return !failing_ && offset <= data_.size() && size <= data_.size() - offset; }
    std::vector<u8> data_;
    bool read_only_ = false, failing_ = false;
    unsigned flushes_ = 0;
};
}  // namespace calque
