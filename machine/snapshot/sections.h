// The container of snapshots and recordings: a magic, then sections that say what they are, how long, and a hash of themselves.
//
//     file      magic[8]  format u32  0 u32
//     section   name[12]  version u16  encoding u16  index u64  raw length u64  stored length u64  hash u64, then the stored bytes
//
// Numbers are little-endian. Encoding 0 stores the bytes as they are, 1 as one zstd frame. The hash covers the header before it and the
// stored bytes. A section named "end" is the last. What is read may have been made by anybody: nothing is allocated that a limit of ours
// does not allow, and nothing is believed before the hash has been checked.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "support/result.h"
#include "support/types.h"

namespace calque {

constexpr std::string_view kSnapshotMagic = "CALQSNAP";

class StateIO;

struct Section {
    std::string name;
    u16 version = 0, encoding = 0;
    u64 index = 0;
    u64 raw = 0, stored = 0, hash = 0;
};
constexpr size_t kMagicBytes = 8;   // without the terminating zero
constexpr size_t kSectionName = 12;

class SectionWriter {
public:
    /// `path` is for messages. The descriptor stays the caller's.
    SectionWriter(int fd, std::string path, std::string_view magic);
    SectionWriter(const SectionWriter&) = delete;
    /// Compresses and writes. After a failure nothing more is written.
    void add(std::string_view name, u16 version, u64 index, std::span<const u8> bytes);
    void add(std::string_view name, u16 version, u64 index, const StateIO&);
    /// Many, which are compressed side by side: `bytes` gives those of the n-th, on any thread. Empty ones are left out.
    struct Piece {
        u64 index;
        std::span<const u8> bytes;
    };
    void add_all(std::string_view name, u16 version, size_t count, const std::function<Piece(size_t n)>& piece);
    Result<void> finish() { return add("end", 1, 0, std::span<const u8>{}), result(); }
    Result<void> result() const { return error_ ? Result<void>{Error{*error_}} : Result<void>{}; }
    u64 bytes() const { return bytes_; }

private:
    void put(std::span<const u8>);
    int fd_;
    std::string path_;
    std::vector<u8> packed_;
    std::optional<std::string> error_;
    u64 bytes_ = 0;
};

class SectionReader {
public:
    /// `what`: "snapshot" or "recording", for messages.
    static Result<std::unique_ptr<SectionReader>> open(const std::string& path, std::string_view magic, std::string what);
    ~SectionReader();
    SectionReader(const SectionReader&) = delete;

    enum class Next { section, end, cut };
    /// Goes on to the next section, whose header is in section() then. `cut`: the file ends before "end", perhaps within a section, or
    /// has bytes there that cannot be one.
    Next next();
    const Section& section() const { return section_; }
    bool is(std::string_view name) const { return section_.name == name; }
    /// Does the file have all of it?
    bool whole() const;
    /// Behind the section: next() goes on from there.
    u64 position() const { return next_at_; }
    void seek(u64 position) { next_at_ = position; }
    /// The section's bytes; at most `limit`.
    Result<std::vector<u8>> read(u64 limit);
    /// The same for a section from before, into memory of exactly its size; on any thread.
    struct Place {
        Section section;
        u64 at;   // of its header in the file
    };
    Place place() const { return {section_, header_at_}; }
    Result<void> read_into(std::span<u8> out, const Place&) const;
    /// Does it match its checksum?
    Result<void> check(const Place&) const;
    /// The file stays open as long as anybody has it, for sections from before.
    Result<std::shared_ptr<const SectionReader>> share() const;
    Error damaged(const std::string& how) const { return {"the " + what_ + " '" + path_ + "' is damaged: " + how}; }
    Error unknown(const std::string& how) const { return {"the " + what_ + " '" + path_ + "' cannot be used: " + how}; }
    std::string name() const { return what_ + " '" + path_ + "'"; }

private:
    SectionReader(int fd, std::string path, std::string what);
    bool get(u64 at, std::span<u8> to) const;
    Result<std::span<const u8>> stored_bytes(const Place&) const;
    Error odd(const Section& s, const char* how) const { return damaged("its section '" + s.name + "' " + how); }
    int fd_;
    std::string path_, what_;
    Section section_;
    u64 header_at_ = 0, next_at_;
};
}  // namespace calque
