// Changes kept in a file without a name, over an image that is never written: --disk FILE,snapshot=on.
#pragma once
#include <memory>
#include <vector>

#include "support/host.h"
#include "support/result.h"

namespace calque {

class OverlayImage final : public BlockImage {
public:
    /// The file is made in the folder that TMPDIR names (else /var/tmp), has no name there and ends with the machine.
    static Result<std::unique_ptr<BlockImage>> open(std::unique_ptr<BlockImage> base);
    ~OverlayImage() override;
    OverlayImage(const OverlayImage&) = delete;
    OverlayImage& operator=(const OverlayImage&) = delete;

    BlockImage& base() { return *base_; }
    u64 size() const override { return base_->size(); }
    bool read_only() const override { return false; }
    bool read(u64 offset, std::span<u8> out) override;
    bool write(u64 offset, std::span<const u8> in) override;
    bool flush() override { return true; }

    static constexpr u64 kPiece = 4096;
    /// Numbers of the pieces that have been written, in order.
    std::vector<u64> changed_pieces() const;

private:
    OverlayImage(std::unique_ptr<BlockImage> base, int fd) : base_{std::move(base)}, fd_{fd} {}
    bool covers(u64 offset, u64 bytes) const { return offset <= size() && bytes <= size() - offset; }
    bool changed(u64 piece) const { return piece / 64 < changed_.size() && changed_[piece / 64] >> piece % 64 & 1; }
    void set_changed(u64 piece);
    bool fill(u64 piece);
    std::unique_ptr<BlockImage> base_;
    int fd_;
    std::vector<u64> changed_;  // one bit a piece: the file holds it, at the offset that it has in the image
};

/// Where one of a machine's images keeps its changes; nullptr: in its file, or it cannot be written.
OverlayImage* overlay_of(BlockImage*);
/// The same image without changes that are kept elsewhere.
BlockImage& unwritten(BlockImage&);
}  // namespace calque
