#include "machine/snapshot/embedded_image.h"

#include <algorithm>
#include <array>

#include "machine/state_hash.h"
#include "support/log.h"
#include "support/parallel.h"
#include "support/state_io.h"

namespace calque {
static Log log{"embedded_image"};

namespace {
constexpr u64 kHeaderLimit = kKiB, kSector = 512;
constexpr size_t kAtOnce = 32;   // chunks that are read before they are compressed

u64 chunks_of(u64 size) { return (size + EmbeddedImage::kChunk - 1) / EmbeddedImage::kChunk; }
u64 length_of(u64 chunk, u64 size) { return std::min(EmbeddedImage::kChunk, size - chunk * EmbeddedImage::kChunk); }
}  // namespace

Result<void> EmbeddedImage::write(SectionWriter& out, u64 number, const ImageIdentity& id, BlockImage& image) {
    u64 size = image.size();
    if (size > kMost) return Error{"an image of more than 4 TiB cannot be embedded"};
    StateIO s = StateIO::saver();
    ImageIdentity identity = id;
    s(size, identity);
    out.add("image", 1, number, s);
    std::vector<std::vector<u8>> bytes(kAtOnce);
    for (u64 first = 0; first < chunks_of(size); first += kAtOnce) {
        const size_t some = std::min<u64>(kAtOnce, chunks_of(size) - first);
        for (size_t n = 0; n < some; ++n) {
            bytes[n].resize(length_of(first + n, size));
            if (!image.read((first + n) * kChunk, bytes[n])) return Error{"an image that is to be embedded cannot be read"};
        }
        out.add_all("chunk", 1, some, [&](size_t n) {
            return SectionWriter::Piece{first + n, is_zero(bytes[n]) ? std::span<const u8>{} : std::span<const u8>{bytes[n]}};
        });
    }
    return out.result();
}

Result<std::shared_ptr<EmbeddedImage>> EmbeddedImage::begin(SectionReader& in) {
    if (in.section().version != 1) return in.unknown("this version of Calque does not know version " + std::to_string(in.section().version) + " of images in it");
    auto bytes = in.read(kHeaderLimit);
    if (!bytes) return bytes.error();
    u64 size = 0;
    ImageIdentity identity;
    StateIO s = StateIO::loader(*bytes);
    s(size, identity);
    if (!s.complete() || !size || size > kMost || size % kSector) return in.damaged("an image in it is in disorder");
    auto file = in.share();
    if (!file) return file.error();
    return std::shared_ptr<EmbeddedImage>{new EmbeddedImage{std::move(*file), size, identity}};
}

Result<bool> EmbeddedImage::take(SectionReader& in, std::shared_ptr<EmbeddedImage>& current) {
    if (begins(in)) {
        auto begun = begin(in);
        if (!begun) return begun.error();
        current = std::move(*begun);
    } else {
        if (!current || !in.is("chunk")) return false;
        if (auto r = current->add(in); !r) return r.error();
    }
    return true;
}

Result<void> EmbeddedImage::add(const SectionReader& in) {
    const Section& s = in.section();
    if (s.version != 1 || s.index >= chunks_of(size_) || s.raw != length_of(s.index, size_) || (!chunks_.empty() && s.index <= chunks_.back().section.index))
        return in.damaged("an image in it is in disorder");
    chunks_.push_back(in.place());
    return {};
}

Result<void> EmbeddedImage::check() const {
    std::vector<Result<void>> results(chunks_.size());
    parallel_for(chunks_.size(), [&](size_t n) { results[n] = file_->check(chunks_[n]); });
    const auto bad = std::find_if(results.begin(), results.end(), [](const Result<void>& r) { return !r; });
    return bad == results.end() ? Result<void>{} : *bad;
}

// Keeps the chunks that have been read last.
class EmbeddedImage::View final : public BlockImage {
public:
    explicit View(std::shared_ptr<const EmbeddedImage> image) : image_{std::move(image)} {}
    u64 size() const override { return image_->size_; }
    bool read_only() const override { return true; }
    bool write(u64, std::span<const u8>) override { return false; }
    bool flush() override { return true; }
    bool read(u64 offset, std::span<u8> out) override {
        if (offset > size() || out.size() > size() - offset) return false;
        while (!out.empty()) {
            const u64 inside = offset % kChunk;
            const auto part = out.first(std::min<u64>(out.size(), kChunk - inside));
            const auto& all = image_->chunks_;
            const auto found = std::lower_bound(all.begin(), all.end(), offset / kChunk, [](const auto& c, u64 n) { return c.section.index < n; });
            if (found == all.end() || found->section.index != offset / kChunk) std::fill(part.begin(), part.end(), u8{0});
            else if (const std::vector<u8>* const bytes = chunk(*found)) std::copy_n(bytes->begin() + static_cast<i64>(inside), part.size(), part.begin());
            else return false;
            out = out.subspan(part.size()), offset += part.size();
        }
        return true;
    }

private:
    struct Kept {
        u64 index = ~u64{0}, used = 0;
        std::vector<u8> bytes;
    };
    const std::vector<u8>* chunk(const SectionReader::Place& place) {
        Kept* oldest = &kept_[0];
        for (Kept& k : kept_) {
            if (k.index == place.section.index) return k.used = ++uses_, &k.bytes;
            if (k.used < oldest->used) oldest = &k;
        }
        oldest->index = ~u64{0};
        oldest->bytes.resize(place.section.raw);
        if (auto r = image_->file_->read_into(oldest->bytes, place); !r) return log.error("%s", r.error().message.c_str()), nullptr;
        oldest->index = place.section.index, oldest->used = ++uses_;
        return &oldest->bytes;
    }
    std::shared_ptr<const EmbeddedImage> image_;
    std::array<Kept, 16> kept_;
    u64 uses_ = 0;
};

std::unique_ptr<BlockImage> EmbeddedImage::open(std::shared_ptr<const EmbeddedImage> image) { return std::make_unique<View>(std::move(image)); }
}  // namespace calque
