#include "machine/block/overlay_image.h"

#include <algorithm>

namespace calque {

// A piece that is written for the first time starts as what the image holds there.
std::vector<u8>* OverlayImage::piece(u64 number, bool create) {
    const auto found = pieces_.find(number);
    if (found != pieces_.end()) return &found->second;
    if (!create) return nullptr;
    std::vector<u8> bytes(kPiece);
    const u64 start = number * kPiece;
    if (!base_->read(start, std::span{bytes}.first(std::min(kPiece, size() - start)))) return nullptr;
    return &(pieces_[number] = std::move(bytes));
}

bool OverlayImage::read(u64 offset, std::span<u8> out) {
    if (!covers(offset, out.size())) return false;
    while (!out.empty()) {
        const u64 inside = offset % kPiece;
        const size_t n = std::min<u64>(out.size(), kPiece - inside);
        if (const auto* p = piece(offset / kPiece, false)) std::copy_n(p->begin() + static_cast<std::ptrdiff_t>(inside), n, out.begin());
        else if (!base_->read(offset, out.first(n))) return false;
        out = out.subspan(n), offset += n;
    }
    return true;
}

bool OverlayImage::write(u64 offset, std::span<const u8> in) {
    if (!covers(offset, in.size())) return false;
    while (!in.empty()) {
        const u64 inside = offset % kPiece;
        const size_t n = std::min<u64>(in.size(), kPiece - inside);
        auto* p = piece(offset / kPiece, true);
        if (!p) return false;
        std::copy_n(in.begin(), n, p->begin() + static_cast<std::ptrdiff_t>(inside));
        in = in.subspan(n), offset += n;
    }
    return true;
}
}  // namespace calque
