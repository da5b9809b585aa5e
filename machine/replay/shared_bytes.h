// Bytes of which later ones share what is equal in earlier ones.
#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "support/types.h"

namespace calque {

class SharedBytes {
public:
    SharedBytes() = default;
    SharedBytes(std::span<const u8> bytes, const SharedBytes& earlier) {
        for (size_t n = 0; !bytes.empty(); ++n) {
            const auto piece = bytes.first(std::min(kPiece, bytes.size()));
            const bool same = n < earlier.pieces_.size() && earlier.pieces_[n]->size() == piece.size() &&
                              std::memcmp(earlier.pieces_[n]->data(), piece.data(), piece.size()) == 0;
            pieces_.push_back(same ? earlier.pieces_[n] : std::make_shared<const std::vector<u8>>(piece.begin(), piece.end()));
            if (!same) own_ += piece.size();
            bytes = bytes.subspan(piece.size());
        }
    }
    std::vector<u8> all() const {
        std::vector<u8> out;
        for (const auto& p : pieces_) out.insert(out.end(), p->begin(), p->end());
        return out;
    }
    /// How much of it was not there before.
    u64 own() const { return own_; }

private:
    static constexpr size_t kPiece = 4096;
    std::vector<std::shared_ptr<const std::vector<u8>>> pieces_;
    u64 own_ = 0;
};
}  // namespace calque
