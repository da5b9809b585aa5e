// Images that are within a snapshot or a recording (--embed-images), for whoever does not have their files.
//
// A section "image", whose index says which one, with its size and identity; then one "chunk" of 1 MiB each for what is not zeros.
#pragma once
#include <memory>
#include <vector>

#include "machine/block/identity.h"
#include "machine/snapshot/sections.h"
#include "support/host.h"

namespace calque {

class EmbeddedImage {
public:
    static constexpr u64 kChunk = kMiB, kMost = 4096 * kGiB;   // bytes
    /// An image of more than kMost is an error.
    static Result<void> write(SectionWriter&, u64 number, const ImageIdentity&, BlockImage&);
    /// Takes the section that the reader has come to if it is of an image: "image" makes another one the current, chunks belong to that. They
    /// are not read before somebody does. False: it is another section.
    static Result<bool> take(SectionReader&, std::shared_ptr<EmbeddedImage>& current);
    static bool begins(const SectionReader& in) { return in.is("image"); }
    /// Have the chunks what their checksums say? On any thread.
    Result<void> check() const;
    const ImageIdentity& identity() const { return identity_; }
    u64 size() const { return size_; }
    /// It can only be read.
    static std::unique_ptr<BlockImage> open(std::shared_ptr<const EmbeddedImage>);

private:
    EmbeddedImage(std::shared_ptr<const SectionReader> file, u64 size, const ImageIdentity& id) : file_{std::move(file)}, size_{size}, identity_{id} {}
    static Result<std::shared_ptr<EmbeddedImage>> begin(SectionReader&);
    Result<void> add(const SectionReader&);
    class View;
    std::shared_ptr<const SectionReader> file_;
    u64 size_;
    ImageIdentity identity_;
    std::vector<SectionReader::Place> chunks_;   // in order of their index
};
}  // namespace calque
