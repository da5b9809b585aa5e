#include "machine/trace/record.h"

#include <bit>
#include <utility>

#include "support/little_endian.h"

namespace calque {
namespace {
using Kind = TraceRecord::Kind;
constexpr unsigned kLongSize = 7;   // in place of the logarithm of a size: the size follows
constexpr u8 kBits[] = {16, 32, 64};
unsigned code_of(u8 bits) { return bits == 64 ? 2 : bits == 32 ? 1 : 0; }
bool is_memory(Kind k) { return k == Kind::read || k == Kind::write; }
}  // namespace

// ---- writing

void TraceEncoder::number(u64 v) {
    for (; v >= 0x80; v >>= 7) byte(v | 0x80);
    byte(v);
}

void TraceEncoder::difference(u64 now, u64 expected) {
    const i64 d = static_cast<i64>(now - expected);
    number(static_cast<u64>(d) << 1 ^ static_cast<u64>(d >> 63));
}

void TraceEncoder::context(const TracePlace& p) {
    tag(Kind::context, code_of(p.bits) | p.ring << 2);
    number(p.cs), number(p.base), number(p.cr3);
    const TracePlace before = std::exchange(at_, p);
    at_.count = before.count, at_.linear = before.linear;
}

void TraceEncoder::move_to(const TracePlace& p) {
    if (!at_.same_context(p)) context(p);
    if (at_.count == p.count && at_.linear == p.linear) return;
    tag(Kind::place, 0);
    difference(p.count, next_count_), difference(p.linear, next_);
    at_ = p, next_count_ = p.count, next_ = p.linear;
}

void TraceEncoder::add(const TraceRecord& r) {
    if (r.kind == Kind::instruction) {
        if (!at_.same_context(r.at)) context(r.at);
        tag(r.kind, static_cast<unsigned>(r.bytes.size()));
        difference(r.at.count, next_count_), difference(r.at.linear, next_);
        at_ = r.at, next_count_ = r.at.count + 1, next_ = r.at.linear + r.bytes.size();
        out_.insert(out_.end(), r.bytes.begin(), r.bytes.end());
        return;
    }
    move_to(r.at);
    if (r.kind == Kind::delivery) {
        tag(r.kind, static_cast<unsigned>(r.cause) | r.error.has_value() << 2);
        byte(r.vector);
        if (r.error) number(*r.error);
        return;
    }
    const size_t size = r.bytes.size();
    const unsigned code = std::has_single_bit(size) && size <= 32 ? static_cast<unsigned>(std::countr_zero(size)) : kLongSize;
    tag(r.kind, code << 1 | r.system);
    if (code == kLongSize) number(size);
    if (is_memory(r.kind)) difference(r.address, data_), data_ = r.address + size;
    else number(r.address);
    out_.insert(out_.end(), r.bytes.begin(), r.bytes.end());
}

std::vector<u8> TraceEncoder::take() {
    at_ = {}, next_ = next_count_ = data_ = 0;
    return std::exchange(out_, {});
}

// ---- reading

u8 TraceDecoder::byte() {
    if (left_.empty()) return ok_ = false, 0;
    const u8 b = left_.front();
    left_ = left_.subspan(1);
    return b;
}

u64 TraceDecoder::number() {
    u64 v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const u8 b = byte();
        v |= u64{b & 0x7fu} << shift;
        if (!(b & 0x80)) return v;
    }
    return ok_ = false, 0;
}

u64 TraceDecoder::difference(u64 expected) {
    const u64 v = number();
    return expected + (v >> 1 ^ (u64{0} - (v & 1)));
}

std::span<const u8> TraceDecoder::bytes(u64 size) {
    if (size > kTraceData || size > left_.size()) return ok_ = false, std::span<const u8>{};
    const auto b = left_.first(size);
    left_ = left_.subspan(size);
    return b;
}

void TraceDecoder::context(unsigned flags) {
    if ((flags & 3) > 2) return void(ok_ = false);
    at_.bits = kBits[flags & 3], at_.ring = static_cast<u8>(flags >> 2);
    at_.cs = static_cast<u16>(number()), at_.base = number(), at_.cr3 = number();
}

void TraceDecoder::place(unsigned length) {
    at_.count = difference(next_count_), at_.linear = difference(next_);
    next_ = at_.linear + length;
}

void TraceDecoder::access(unsigned flags, TraceRecord& r) {
    const unsigned code = flags >> 1;
    const u64 size = code == kLongSize ? number() : u64{1} << code;
    r.system = flags & 1;
    r.address = is_memory(r.kind) ? difference(data_) : number();
    r.bytes = bytes(size);
    if (is_memory(r.kind)) data_ = r.address + size;
    else if (size > 4 || r.address > 0xffff) ok_ = false;
}

void TraceDecoder::delivery(unsigned flags, TraceRecord& r) {
    if ((flags & 3) > 2) return void(ok_ = false);
    r.cause = static_cast<TraceRecord::Cause>(flags & 3);
    r.vector = byte();
    if (flags & 4) r.error = static_cast<u32>(number());
}

std::optional<TraceRecord> TraceDecoder::next() {
    while (ok_ && !left_.empty()) {
        const u8 tag = byte();
        const unsigned flags = tag >> 4;
        TraceRecord r;
        r.kind = static_cast<Kind>(tag & 15);
        switch (r.kind) {
        case Kind::context: context(flags); continue;
        case Kind::place: place(0), next_count_ = at_.count; continue;
        case Kind::instruction: place(flags), next_count_ = at_.count + 1, r.bytes = bytes(flags); break;
        case Kind::read: case Kind::write: case Kind::in: case Kind::out: access(flags, r); break;
        case Kind::delivery: delivery(flags, r); break;
        default: ok_ = false;
        }
        r.at = at_;
        if (ok_) return r;
    }
    return {};
}
}  // namespace calque
