#include "devices/storage/cd_sector.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace calque {
namespace {
constexpr u8 bcd(unsigned v) { return static_cast<u8>(v / 10 << 4 | v % 10); }

// EDC: a 32-bit CRC with P(x) = (x^16+x^15+x^2+1)(x^16+x^2+x+1), least significant bit first.
constexpr auto kEdc = [] {
    std::array<u32, 256> t{};
    for (u32 i = 0; i < 256; ++i) {
        u32 v = i;
        for (int k = 0; k < 8; ++k) v = v >> 1 ^ (v & 1 ? 0xD8018001u : 0);
        t[i] = v;
    }
    return t;
}();

u32 edc(std::span<const u8> data) {
    u32 v = 0;
    for (u8 b : data) v = v >> 8 ^ kEdc[(v ^ b) & 0xFF];
    return v;
}

// ECC: Reed-Solomon product code over GF(2^8) with x^8+x^4+x^3+x^2+1.
constexpr u8 times_alpha(u8 v) { return static_cast<u8>(v << 1 ^ (v & 0x80 ? 0x1D : 0)); }
constexpr auto kDivide = [] {  // division by alpha + 1
    std::array<u8, 256> t{};
    for (unsigned i = 0; i < 256; ++i) t[i ^ times_alpha(static_cast<u8>(i))] = static_cast<u8>(i);
    return t;
}();

/// `vectors` code words of `length` bytes each; step and stride walk the matrix that starts at the header.
void parity(const u8* header, unsigned vectors, unsigned length, unsigned step, unsigned stride, u8* out) {
    const unsigned size = vectors * length;
    for (unsigned v = 0; v < vectors; ++v) {
        unsigned at = (v >> 1) * step + (v & 1);
        u8 a = 0, b = 0;
        for (unsigned i = 0; i < length; ++i) {
            const u8 x = header[at];
            at += stride;
            if (at >= size) at -= size;
            a = times_alpha(static_cast<u8>(a ^ x));
            b ^= x;
        }
        a = kDivide[times_alpha(a) ^ b];
        out[v] = a;
        out[v + vectors] = a ^ b;
    }
}
}  // namespace

Msf msf_of_frames(u64 f) {
    return {static_cast<u8>(f / (75 * 60)), static_cast<u8>(f / 75 % 60), static_cast<u8>(f % 75)};
}

Msf msf_of(u32 lba) { return msf_of_frames(u64{lba} + 150); }

u32 lba_of(Msf m) { return (m.minute * 60u + m.second) * 75u + m.frame - 150; }

void build_raw_sector(u32 lba, std::span<const u8, kCdDataSize> user_data, std::span<u8, kCdRawSize> out) {
    u8* s = out.data();
    std::memset(s, 0, kCdRawSize);
    std::memset(s + 1, 0xFF, 10);
    const Msf m = msf_of(lba);
    s[12] = bcd(m.minute), s[13] = bcd(m.second), s[14] = bcd(m.frame);
    s[15] = 1;
    std::copy(user_data.begin(), user_data.end(), s + 16);
    const u32 e = edc({s, 2064});
    for (int i = 0; i < 4; ++i) s[2064 + i] = static_cast<u8>(e >> (8 * i));
    parity(s + 12, 86, 24, 2, 86, s + 2076);   // P covers header to the zeros after EDC
    parity(s + 12, 52, 43, 86, 88, s + 2248);  // Q covers P too
}
}  // namespace calque
