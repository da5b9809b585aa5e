#include "tests/silicon/case.h"

#include <cstring>

namespace calque::silicon {

namespace {
constexpr const char* kModes[] = {"long64", "flat32", "prot32", "prot16"};
constexpr u32 kData = static_cast<u32>(where::data), kCode = static_cast<u32>(where::code), kAll = 0xffffffff;
constexpr u16 local(unsigned n) { return static_cast<u16>(n << 3 | 7); }
constexpr SegmentSpec kFs{local(7), kData, 0xffff, false, true, false, false}, kGs{local(8), kData, 0xfff, false, true, true, true};
constexpr SegmentSpec kDs{local(3), kData, 0x3fff, false, true, true, false}, kEs{local(4), kData + 0x100, 0x1eff, false, true, true, false};
constexpr SegmentSpec kFlatData{0x2b, 0, kAll, false, true, true, false}, kNull{0, 0, kAll, false, true, true, false};
constexpr std::array<SegmentSpec, 6> kSegments[] = {
    {kNull, {0x33, 0, kAll, true, false, false, false}, kFlatData, kNull, kNull, kNull},
    {kFlatData, {0x23, 0, kAll, true, true, false, false}, kFlatData, kFlatData, kFs, kGs},
    {kEs, {local(1), kCode, 0x1fff, true, true, false, false}, {local(5), kData, 0x1fff, false, true, true, false}, kDs, kFs, kGs},
    {kEs, {local(2), kCode, 0x1fff, true, false, false, false}, {local(6), kData, 0x1fff, false, false, true, false}, kDs, kFs, kGs},
};
}  // namespace

const char* mode_name(CodeMode m) { return kModes[static_cast<size_t>(m)]; }
bool parse_mode(const std::string& s, CodeMode& m) {
    for (size_t i = 0; i < std::size(kModes); ++i)
        if (s == kModes[i]) return m = static_cast<CodeMode>(i), true;
    return false;
}
const std::array<SegmentSpec, 6>& segments(CodeMode m) { return kSegments[static_cast<size_t>(m)]; }

void put_jump(u8* at, u32 slot) {
    const u8 code[] = {0xff, 0x24, 0x25};
    std::memcpy(at, code, 3);
    std::memcpy(at + 3, &slot, 4);
}

void code_image(CodeMode m, u8* code) {
    std::memset(code, 0xcc, 0x2000);
    constexpr u32 places[] = {where::next, where::pad_after, where::pad_before};
    for (unsigned n = 0; n < 3; ++n) {
        u8* p = code + places[n];
        if (m == CodeMode::long64) {
            put_jump(p, exit_slot(n));
            continue;
        }
        if (m == CodeMode::prot16) *p++ = 0x66;
        const u32 to = gate(n);
        const u16 cs = 0x33;
        *p++ = 0xea;   // JMP ptr16:32
        std::memcpy(p, &to, 4);
        std::memcpy(p + 4, &cs, 2);
    }
}

u64 Random::value() {
    const u64 r = next();
    const unsigned shift = r >> 8 & 63;
    switch (r & 15) {
    case 0: return 0;
    case 1: return 1;
    case 2: return ~u64{0};
    case 3: return u64{1} << shift;
    case 4: return (u64{1} << shift) - 1;
    case 5: return ~(u64{1} << shift);
    case 6: return 0x8080808080808080 ^ (r >> 16 & 1);
    case 7: return 0x7f7f7f7f7f7f7f7f + (r >> 16 & 1);
    case 8: return below(256);
    case 9: return next() >> shift;
    default: return next();
    }
}

BaseImage::BaseImage(u64 seed) {
    Random r{seed ^ 0xba5e};
    for (u32 i = 0; i < sizeof bytes; i += 8) {
        const u64 v = r.value();
        std::memcpy(bytes + i, &v, 8);
    }
    for (u32 i = 0; i < sizeof read_only; i += 8) {
        const u64 v = r.value();
        std::memcpy(read_only + i, &v, 8);
    }
}

void BaseImage::apply(const Case& c, u8* memory) const {
    for (u32 i = 0; i < c.patches; ++i) std::memcpy(memory + c.patch[i].index * Line::size, c.patch[i].bytes.data(), Line::size);
}

void BaseImage::collect(u8* memory, Outcome& out) const {
    out.changed = 0;
    for (u32 i = 0; i < Line::count; ++i) {
        u8* p = memory + i * Line::size;
        const u8* b = bytes + i * Line::size;
        if (std::memcmp(p, b, Line::size) == 0) continue;
        Line& l = out.line[out.changed++];
        l.index = i;
        std::memcpy(l.bytes.data(), p, Line::size);
        std::memcpy(p, b, Line::size);
    }
}
}  // namespace calque::silicon
