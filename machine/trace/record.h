// What a trace consists of, and its form in a file (docs/tracing.md). Each section of records stands for itself: what a record leaves out
// is what the record before it in the same section has said.
#pragma once
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "support/types.h"

namespace calque {

constexpr std::string_view kTraceMagic = "CALQTRCE";
constexpr size_t kTraceSection = 1 << 20;   // about as long a section of records becomes
constexpr size_t kTraceData = 4096;         // bytes of one access at most

/// Where an instruction stands.
struct TracePlace {
    u64 count = 0;     // instructions retired before it
    u64 linear = 0;    // its address; RIP is `base` less
    u8 bits = 16, ring = 0;
    u16 cs = 0;
    u64 base = 0, cr3 = 0;
    u64 rip() const { return bits == 64 ? linear : (linear - base) & 0xffffffff; }
    bool same_context(const TracePlace& p) const { return bits == p.bits && ring == p.ring && cs == p.cs && base == p.base && cr3 == p.cr3; }
};

struct TraceRecord {
    enum class Kind : u8 { context, instruction, read, write, in, out, delivery, place };   // context and place: in files only
    enum class Cause : u8 { exception, software, external };
    Kind kind = Kind::instruction;
    TracePlace at;
    u64 address = 0;                // of an access; a port
    bool system = false;            // the access was the processor's own
    u8 vector = 0;
    Cause cause = Cause::exception;
    std::optional<u32> error;
    std::span<const u8> bytes;      // of the instruction, perhaps none if it could not be fetched; of the access, least significant first
};

class TraceEncoder {
public:
    void add(const TraceRecord&);
    size_t size() const { return out_.size(); }
    /// What has been added. The next record begins a section.
    std::vector<u8> take();

private:
    void byte(u64 v) { out_.push_back(static_cast<u8>(v)); }
    void tag(TraceRecord::Kind kind, unsigned flags) { byte(static_cast<unsigned>(kind) | flags << 4); }
    void number(u64 v);
    void difference(u64 now, u64 expected);
    void move_to(const TracePlace&);
    void context(const TracePlace&);
    std::vector<u8> out_;
    TracePlace at_;
    u64 next_ = 0, next_count_ = 0, data_ = 0;   // what is expected of an instruction and an access
};

/// Reads one section; the bytes may have been made by anybody.
class TraceDecoder {
public:
    explicit TraceDecoder(std::span<const u8> bytes) : left_{bytes} {}
    /// Nothing at the end, or when what follows is no record: then ok() is false. The bytes of a record last as long as the section's.
    std::optional<TraceRecord> next();
    bool ok() const { return ok_; }

private:
    u8 byte();
    u64 number();
    u64 difference(u64 expected);
    std::span<const u8> bytes(u64 size);
    void context(unsigned flags);
    void place(unsigned length);
    void access(unsigned flags, TraceRecord&);
    void delivery(unsigned flags, TraceRecord&);
    std::span<const u8> left_;
    bool ok_ = true;
    TracePlace at_;
    u64 next_ = 0, next_count_ = 0, data_ = 0;
};
}  // namespace calque
