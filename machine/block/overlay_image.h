// Changes kept in memory over an image that is never written: --disk FILE,snapshot=on.
#pragma once
#include <map>
#include <memory>
#include <vector>

#include "support/host.h"

namespace calque {

class OverlayImage final : public BlockImage {
public:
    explicit OverlayImage(std::unique_ptr<BlockImage> base) : base_{std::move(base)} {}
    u64 size() const override { return base_->size(); }
    bool read_only() const override { return false; }
    bool read(u64 offset, std::span<u8> out) override;
    bool write(u64 offset, std::span<const u8> in) override;
    bool flush() override { return true; }

private:
    static constexpr u64 kPiece = 4096;
    bool covers(u64 offset, u64 bytes) const { return offset <= size() && bytes <= size() - offset; }
    std::vector<u8>* piece(u64 number, bool create);
    std::unique_ptr<BlockImage> base_;
    std::map<u64, std::vector<u8>> pieces_;
};
}  // namespace calque
