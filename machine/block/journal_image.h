// An image whose writes can be taken back: what was there before is kept while a journal is open.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "support/host.h"

namespace calque {

class JournalImage final : public BlockImage {
public:
    explicit JournalImage(std::unique_ptr<BlockImage> base) : base_{std::move(base)} {}
    BlockImage& base() { return *base_; }

    u64 size() const override { return base_->size(); }
    bool read_only() const override { return base_->read_only(); }
    bool read(u64 offset, std::span<u8> out) override { return base_->read(offset, out); }
    bool write(u64 offset, std::span<const u8> in) override {
        if (journal_ && !in.empty() && offset < size())
            for (u64 n = offset / kPiece; n <= (std::min(offset + in.size(), size()) - 1) / kPiece; ++n) note(n);
        return base_->write(offset, in);
    }
    bool flush() override { return base_->flush(); }

    static constexpr u64 kPiece = 4096;
    /// Pieces, by their numbers, as they were before they were written.
    using Undo = std::map<u64, std::vector<u8>>;
    /// What is written from now on is entered there the first time; nullptr: no more.
    void journal(Undo* to) { journal_ = to; }
    void undo(const Undo& pieces) {
        for (const auto& [n, bytes] : pieces) base_->write(n * kPiece, bytes);
    }

private:
    void note(u64 n) {
        const auto [entry, fresh] = journal_->try_emplace(n);
        if (!fresh) return;
        entry->second.resize(std::min(kPiece, size() - n * kPiece));
        base_->read(n * kPiece, entry->second);
    }
    std::unique_ptr<BlockImage> base_;
    Undo* journal_ = nullptr;
};
}  // namespace calque
