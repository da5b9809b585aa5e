#include "cpu/opcode_map.h"

#include <algorithm>
#include <iterator>

namespace calque {
namespace {

// .: nothing follows   M: ModRM   b w z v: an immediate of 1, 2, 2 or 4, 2 to 8 bytes   B Z: ModRM and b or z   T t: ModRM, and b or z in reg 0 and 1
// o: an address   p: selector and offset   e: 3 bytes   j: a near branch's displacement
constexpr char kOne[257] =
    "MMMMbz..MMMMbz..MMMMbz..MMMMbz.." "MMMMbz..MMMMbz..MMMMbz..MMMMbz.."
    "................................" "..MM....zZbB...." "bbbbbbbbbbbbbbbb"
    "BZBBMMMMMMMMMMMM" "..........p....." "oooo....bz......" "bbbbbbbbvvvvvvvv"
    "BBw.MMBZe.w..b.." "MMMMbb..MMMMMMMM" "bbbbbbbbjjpb...." "......Tt......MM";
constexpr char kTwo[257] =
    "MMMM.........M.B" "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM" "................"
    "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM" "BBBBMMM.MMMMMMMM"
    "jjjjjjjjjjjjjjjj" "MMMMMMMMMMMMMMMM" "...MBMMM...MBMMM" "MMMMMMMMMMBMMMMM"
    "MMBMBBBM........" "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM";

struct Reader {
    const u8* p;
    size_t size, at = 0;
    CodeSize code;
    bool zen;
    bool rex = false, wide = false, short_operand = false, other_address = false;

    /// Past the end: something that needs nothing more.
    u8 peek(size_t ahead = 0) const { return at + ahead < size ? p[at + ahead] : u8{0xc0}; }
    unsigned operand() const { return wide ? 8 : (code == CodeSize::b16) != short_operand ? 2 : 4; }
    unsigned address() const {
        if (code == CodeSize::b64) return other_address ? 4 : 8;
        return (code == CodeSize::b16) != other_address ? 2 : 4;
    }

    void prefixes() {
        for (; at < size && at < 15; ++at) {
            const u8 b = p[at];
            const bool is_rex = code == CodeSize::b64 && (b & 0xf0) == 0x40;
            switch (b) {
            case 0x66: short_operand = true; break;
            case 0x67: other_address = true; break;
            case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0xf0: case 0xf2: case 0xf3: break;
            default:
                if (!is_rex) return;
            }
            rex = is_rex, wide = is_rex && b & 8;
        }
    }
    void modrm() {
        const u8 m = peek();
        const unsigned mod = m >> 6, rm = m & 7;
        ++at;
        if (mod == 3) return;
        if (address() == 2) {
            at += mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
            return;
        }
        const bool sib = rm == 4, no_base = mod == 0 && (sib ? (peek() & 7) == 5 : rm == 5);
        at += sib;
        at += mod == 1 ? 1 : mod == 2 || no_base ? 4 : 0;
    }
    unsigned immediate_z() const { return operand() == 2 ? 2 : 4; }
    void rest(char kind) {
        const unsigned reg = peek() >> 3 & 7;
        switch (kind) {
        case 'M': modrm(); break;
        case 'B': modrm(), at += 1; break;
        case 'W': modrm(), at += 2; break;
        case 'Z': modrm(), at += immediate_z(); break;
        case 'T': modrm(), at += reg < 2; break;
        case 't': modrm(), at += reg < 2 ? immediate_z() : 0; break;
        case 'b': at += 1; break;
        case 'w': at += 2; break;
        case 'e': at += 3; break;
        case 'z': at += immediate_z(); break;
        case 'v': at += operand(); break;
        case 'o': at += address(); break;
        case 'p': at += 2 + immediate_z(); break;
        case 'j': at += code == CodeSize::b64 ? 4 : immediate_z(); break;
        default: break;
        }
    }
    /// An opcode of map 1 (0F), 2 (0F 38), 3 (0F 3A) or one that does not exist.
    void mapped(unsigned map) {
        const u8 opcode = peek();
        ++at;
        rest(map == 1 ? second_kind(opcode) : map == 3 ? 'B' : 'M');
    }
    char second_kind(u8 opcode) const {
        static constexpr u8 bare[] = {0x24, 0x25, 0x26, 0x27, 0x7a, 0x7b, 0xa6, 0xa7, 0xb9, 0xff};
        if (zen && opcode == 0x78) return 'W';
        return zen && std::find(std::begin(bare), std::end(bare), opcode) != std::end(bare) ? '.' : kTwo[opcode];
    }
    /// AMD's XOP stands where POP has a register field that is not 0.
    bool xop_prefix() {
        const unsigned map = peek(1) & 31;
        if (!zen || peek() != 0x8f || (peek(1) >> 3 & 7) == 0) return false;
        at += rex ? 2 : 4;   // with REX before it, it is wrong at once
        if (rex) return true;
        modrm();
        at += map == 8 ? 1 : map == 10 ? 4 : 0;
        return true;
    }
    /// VEX and EVEX stand where LES, LDS and BOUND have a register operand, which these cannot have.
    bool vector_prefix() {
        const u8 b = peek();
        if ((b != 0xc4 && b != 0xc5 && b != 0x62) || (code != CodeSize::b64 && peek(1) < 0xc0)) return false;
        const unsigned map = b == 0xc5 ? 1 : peek(1) & (b == 0x62 ? 7 : 31);
        at += b == 0xc5 ? 2 : b == 0xc4 ? 3 : 4;
        mapped(map);
        return true;
    }
    void instruction() {
        prefixes();
        if (vector_prefix() || xop_prefix()) return;
        const u8 first = peek();
        ++at;
        if (first != 0x0f) return rest(kOne[first]);
        const u8 second = peek();
        if (second != 0x38 && second != 0x3a) return mapped(1);
        ++at;
        mapped(second == 0x38 ? 2 : 3);
    }
};
}  // namespace

size_t encoding_length(const u8* bytes, size_t size, CodeSize code, bool zen) {
    Reader r{bytes, size, 0, code, zen};
    r.instruction();
    return r.at;
}
}  // namespace calque
