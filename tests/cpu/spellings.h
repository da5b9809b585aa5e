// Every way to write every rule's instruction, found by decoding all opcodes; nothing is listed, so new rules are in it.
#pragma once
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cpu/decode.h"

namespace calque::test {

using Bytes = std::array<u8, 15>;
struct Spelled {
    Bytes bytes;
    Insn in;
};
/// By rule, and whether encoded with VEX.
using Spellings = std::map<std::pair<Mn, bool>, std::vector<Spelled>>;

namespace spelling {
/// Legacy encodings: an address size prefix (JCXZ and its kind), the mandatory prefixes, REX.W, and all opcodes.
template <class F>
void each_legacy(bool code64, F f) {
    for (const bool short_address : {false, true})
        for (const u8 prefix : {0, 0x66, 0xf2, 0xf3})
            for (const bool wide : {false, true})
                for (unsigned map = 0; map < 4; ++map)
                    for (unsigned opcode = 0; opcode < 256; ++opcode) {
                        if ((wide && !code64) || (short_address && (map || (opcode & 0xf0) != 0xe0))) continue;
                        Bytes b{};
                        size_t n = 0;
                        if (short_address) b[n++] = 0x67;
                        if (prefix) b[n++] = prefix;
                        if (wide) b[n++] = 0x48;
                        if (map) b[n++] = 0x0f;
                        if (map > 1) b[n++] = map == 2 ? 0x38 : 0x3a;
                        b[n++] = static_cast<u8>(opcode);
                        f(b, n);
                    }
}
/// With two and with three operands.
template <class F>
void each_vex(F f) {
    for (unsigned map = 1; map < 4; ++map)
        for (unsigned pp = 0; pp < 4; ++pp)
            for (const unsigned wl : {0u, 4u, 0x80u, 0x84u})
                for (unsigned opcode = 0; opcode < 256; ++opcode)
                    for (const unsigned vvvv : {15u, 5u})
                        f(Bytes{0xc4, static_cast<u8>(0xe0 | map), static_cast<u8>(wl | vvvv << 3 | pp), static_cast<u8>(opcode)}, 4);
}
}  // namespace spelling

/// Memory forms without displacement, and register forms.
inline Spellings find_spellings(jit::Mode m, const IsaSet& features) {
    Spellings found;
    const auto try_opcode = [&](Bytes b, size_t modrm_at) {
        for (unsigned modrm = 0; modrm < 256; ++modrm) {
            if (modrm >= 0x40 && modrm < 0xc0) continue;
            b[modrm_at] = static_cast<u8>(modrm);
            Insn in;
            if (decode(b.data(), b.size(), 0x1000, m, features, in) != Decode::ok) continue;
            found[{in.mn, in.vex != 0}].push_back({b, in});
            if (in.length <= modrm_at) return;   // there is no ModRM byte
        }
    };
    spelling::each_legacy(m.bits & mode::Code64, try_opcode);
    if ((m.bits & mode::Protected) && !(m.bits & mode::Vm86)) spelling::each_vex(try_opcode);
    return found;
}
}  // namespace calque::test
