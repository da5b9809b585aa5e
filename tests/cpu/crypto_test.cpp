// AES, SHA, PCLMULQDQ, GFNI and CRC32 against published vectors: whole algorithms are made of the guest's instructions, one at a time.
#include <cstring>
#include <string>

#include "vec_guest.h"

using namespace calque;
using namespace calque::test;

namespace {
using jit::V128;

bool same(const V128& a, const V128& b) { return a.lo == b.lo && a.hi == b.hi; }
V128 operator^(const V128& a, const V128& b) { return {a.lo ^ b.lo, a.hi ^ b.hi}; }
std::string with_imm(const char* code, unsigned imm) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02X", imm);
    return std::string{code} + " " + hex;
}

/// Executes one instruction on xmm1, xmm2 and, implicitly, xmm0.
struct Machine {
    Engine engine;
    V128 run(const std::string& code, V128 a, V128 b, V128 implicit = {0, 0}) const {
        Vec g{engine, code};
        g.xmm(0) = implicit, g.xmm(1) = a, g.xmm(2) = b;
        g.step();
        CHECK(g.vector() == -1);
        return g.xmm(1);
    }
};

/// Sixteen bytes as a standard prints them: the first one first.
V128 bytes(const char* hex) {
    V128 v{0, 0};
    for (unsigned k = 0; k < 16; ++k) {
        unsigned b = 0;
        std::sscanf(hex + 2 * k, "%2x", &b);
        (k < 8 ? v.lo : v.hi) |= u64{b} << 8 * (k & 7);
    }
    return v;
}

// ---- AES-128 (FIPS 197)

struct Aes {
    Machine m;
    V128 key[11];

    Aes(Engine e, V128 first) : m{e} {
        static constexpr unsigned rcon[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36};
        key[0] = first;
        for (unsigned k = 0; k < 10; ++k) {
            const V128 assist = m.run(with_imm("66 0F 3A DF CA", rcon[k]), {0, 0}, key[k]);   // aeskeygenassist xmm1, xmm2, rcon
            key[k + 1] = schedule(key[k], static_cast<u32>(assist.hi >> 32));
        }
    }
    /// Every word is the one before it plus the one four before.
    static V128 schedule(V128 old, u32 first) {
        u32 w[4] = {static_cast<u32>(old.lo), static_cast<u32>(old.lo >> 32), static_cast<u32>(old.hi), static_cast<u32>(old.hi >> 32)};
        w[0] ^= first;
        for (unsigned k = 1; k < 4; ++k) w[k] ^= w[k - 1];
        return {w[0] | u64{w[1]} << 32, w[2] | u64{w[3]} << 32};
    }
    V128 encrypt(V128 v) const {
        v = v ^ key[0];
        for (unsigned k = 1; k < 10; ++k) v = m.run("66 0F 38 DC CA", v, key[k]);   // aesenc
        return m.run("66 0F 38 DD CA", v, key[10]);                                  // aesenclast
    }
    /// "Equivalent Inverse Cipher": its round keys have gone through InvMixColumns.
    V128 decrypt(V128 v) const {
        v = v ^ key[10];
        for (unsigned k = 9; k > 0; --k) v = m.run("66 0F 38 DE CA", v, m.run("66 0F 38 DB CA", {0, 0}, key[k]));   // aesdec, aesimc
        return m.run("66 0F 38 DF CA", v, key[0]);                                                                    // aesdeclast
    }
};

// ---- SHA: the message "abc" with its padding, as big-endian words

constexpr u32 kAbc[16] = {0x61626380, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24};
V128 lanes(u32 a, u32 b, u32 c, u32 d) { return {a | u64{b} << 32, c | u64{d} << 32}; }
V128 add(V128 a, V128 b) {
    const auto half = [](u64 x, u64 y) { return static_cast<u32>(x + y) | u64{static_cast<u32>((x >> 32) + (y >> 32))} << 32; };
    return {half(a.lo, b.lo), half(a.hi, b.hi)};
}
}  // namespace

TEST_CASE("AES: the examples of FIPS 197") {
    for (Engine e : engines()) {
        const Aes b{e, bytes("2b7e151628aed2a6abf7158809cf4f3c")};   // appendices A.1 and B
        CHECK(same(b.key[1], bytes("a0fafe1788542cb123a339392a6c7605")));
        CHECK(same(b.key[10], bytes("d014f9a8c9ee2589e13f0cc8b6630ca6")));
        const V128 plain = bytes("3243f6a8885a308d313198a2e0370734"), cipher = bytes("3925841d02dc09fbdc118597196a0b32");
        CHECK(same(b.encrypt(plain), cipher));
        CHECK(same(b.decrypt(cipher), plain));
        const Aes c{e, bytes("000102030405060708090a0b0c0d0e0f")};   // appendix C.1
        CHECK(same(c.encrypt(bytes("00112233445566778899aabbccddeeff")), bytes("69c4e0d86a7b0430d8cdb78070b4c55a")));
        CHECK(same(c.decrypt(bytes("69c4e0d86a7b0430d8cdb78070b4c55a")), bytes("00112233445566778899aabbccddeeff")));
    }
}

TEST_CASE("AESKEYGENASSIST rotates and adds the constant in the odd words only") {
    for (Engine e : engines()) {
        // FIPS 197, A.1: RotWord(09cf4f3c) = cf4f3c09, SubWord = 8a84eb01, with 01000000: 8b84eb01.
        const V128 r = Machine{e}.run("66 0F 3A DF CA 01", {0, 0}, bytes("2b7e151628aed2a6abf7158809cf4f3c"));
        CHECK(r.hi == 0x01eb848beb848a01);
    }
}

TEST_CASE("SHA-1 of abc is FIPS 180's") {
    for (Engine e : engines()) {
        const Machine m{e};
        V128 w[20];
        for (unsigned k = 0; k < 4; ++k) w[k] = lanes(kAbc[4 * k + 3], kAbc[4 * k + 2], kAbc[4 * k + 1], kAbc[4 * k]);
        for (unsigned k = 4; k < 20; ++k) {   // sha1msg1, pxor, sha1msg2
            const V128 part = m.run("0F 38 C9 CA", w[k - 4], w[k - 3]) ^ w[k - 2];
            w[k] = m.run("0F 38 CA CA", part, w[k - 1]);
        }
        const V128 start = lanes(0x10325476, 0x98badcfe, 0xefcdab89, 0x67452301);
        V128 abcd = start, before{0, 0};
        for (unsigned k = 0; k < 20; ++k) {   // sha1nexte, sha1rnds4
            const V128 we = k ? m.run("0F 38 C8 CA", before, w[k]) : add(w[0], lanes(0, 0, 0, 0xc3d2e1f0));
            before = abcd;
            abcd = m.run(with_imm("0F 3A CC CA", k / 5), abcd, we);
        }
        CHECK(same(add(abcd, start), lanes(0x7850c26c, 0xba3e2571, 0x4706816a, 0xa9993e36)));
        CHECK(same(m.run("0F 38 C8 CA", before, lanes(0, 0, 0, 0xc3d2e1f0)), lanes(0, 0, 0, 0x9cd0d89d)));
    }
}

TEST_CASE("SHA-256 of abc is FIPS 180's") {
    static constexpr u32 k256[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74,
        0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
        0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e,
        0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5,
        0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    for (Engine e : engines()) {
        const Machine m{e};
        V128 w[16];
        for (unsigned k = 0; k < 4; ++k) w[k] = lanes(kAbc[4 * k], kAbc[4 * k + 1], kAbc[4 * k + 2], kAbc[4 * k + 3]);
        for (unsigned k = 4; k < 16; ++k) {   // sha256msg1, the words seven before, sha256msg2
            const V128 &x = w[k - 2], &y = w[k - 1];
            const V128 seven{x.lo >> 32 | x.hi << 32, x.hi >> 32 | y.lo << 32};
            w[k] = m.run("0F 38 CD CA", add(m.run("0F 38 CC CA", w[k - 4], w[k - 3]), seven), y);
        }
        const V128 abef0 = lanes(0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667), cdgh0 = lanes(0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372);
        V128 abef = abef0, cdgh = cdgh0;
        for (unsigned k = 0; k < 16; ++k) {
            V128 wk = add(w[k], lanes(k256[4 * k], k256[4 * k + 1], k256[4 * k + 2], k256[4 * k + 3]));
            for (unsigned half = 0; half < 2; ++half, wk = {wk.hi, 0}) {   // sha256rnds2 xmm1, xmm2, <xmm0>
                const V128 next = m.run("0F 38 CB CA", cdgh, abef, wk);
                cdgh = abef, abef = next;
            }
        }
        CHECK(same(add(abef, abef0), lanes(0x96177a9c, 0xb00361a3, 0x8f01cfea, 0xba7816bf)));
        CHECK(same(add(cdgh, cdgh0), lanes(0xf20015ad, 0xb410ff61, 0x5dae2223, 0x414140de)));
    }
}

TEST_CASE("PCLMULQDQ: the example of Intel's white paper") {
    const V128 a{0x63746f725d53475d, 0x7b5b546573745665}, b{0x5b477565726f6e5d, 0x4869285368617929};
    struct Case {
        unsigned imm;
        V128 product;
    };
    const Case cases[] = {{0x00, {0x929633d5d36f0451, 0x1d4d84c85c3440c0}}, {0x10, {0x7fa540ac2a281315, 0x1bd17c8d556ab5a1}},
                          {0x01, {0xbabf262df4b7d5c9, 0x1a2bf6db3a30862f}}, {0x11, {0xd66ee03e410fd4ed, 0x1d1e1f2c592e7c45}},
                          {0xee, {0x929633d5d36f0451, 0x1d4d84c85c3440c0}}};   // only bits 0 and 4 count
    for (Engine e : engines())
        for (const Case& c : cases) {
            CAPTURE(c.imm);
            CHECK(same(Machine{e}.run(with_imm("66 0F 3A 44 CA", c.imm), a, b), c.product));
        }
}

TEST_CASE("GFNI: products and the S-box of FIPS 197") {
    for (Engine e : engines()) {
        const Machine m{e};
        // {57}{83} = {c1}, {57}{13} = {fe}, {57}{02} = {ae}; zero absorbs.
        CHECK(same(m.run("66 0F 38 CF CA", {0x0000000057575757, 0}, {0x0000000000021383, 0}), V128{0x0000000000aefec1, 0}));
        // "SubBytes() Transformation": the inverse, then the affine transformation over GF(2).
        const V128 matrix{0xf1e3c78f1f3e7cf8, 0xf1e3c78f1f3e7cf8};
        CHECK(same(m.run("66 0F 3A CF CA 63", bytes("00530110fffe203a00000000000000ca"), matrix), bytes("63ed7cca16bbb7806363636363636374")));
        // The unit matrix changes nothing but for the constant; each half of the register has a matrix of its own.
        const V128 unit_and_none{0x0102040810204080, 0};
        CHECK(same(m.run("66 0F 3A CE CA 0F", {0x0123456789abcdef, ~u64{0}}, unit_and_none), V128{0x0e2c4a6886a4c2e0, 0x0f0f0f0f0f0f0f0f}));
    }
}

TEST_CASE("CRC32 is CRC-32C in every width") {
    struct Case {
        const char* code;
        unsigned bytes;
    };
    const Case cases[] = {{"F2 0F 38 F0 03", 1}, {"66 F2 0F 38 F1 03", 2}, {"F2 0F 38 F1 03", 4}, {"F2 48 0F 38 F1 03", 8}};   // crc32 eax, [rbx]
    static constexpr char text[] = "123456789";
    for (Engine e : engines())
        for (const Case& c : cases) {
            CAPTURE(c.bytes);
            u64 crc = 0xffffffff;
            unsigned at = 0;
            const auto feed = [&](const Case& how) {
                Vec g{e, how.code};
                u64 v = 0;
                std::memcpy(&v, text + at, how.bytes);
                g.put(D, v, how.bytes);
                g.rax = crc | u64{0xdeadbeef} << 32;   // the upper half goes
                g.step();
                crc = g.rax;
                at += how.bytes;
            };
            while (at + c.bytes <= 9) feed(c);
            while (at < 9) feed(cases[0]);
            CHECK(crc == 0x1cf96d7c);   // E3069283h before the final complement
        }
}
