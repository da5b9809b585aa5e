// The processor's registers by name, for debuggers and reproducer files.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/isa.h"
#include "support/result.h"

namespace calque {
class Cpu;

struct RegisterValue {
    u64 word[4]{};   // lowest first
    constexpr RegisterValue() = default;
    constexpr RegisterValue(u64 v) : word{v} {}
    constexpr RegisterValue(u64 a, u64 b, u64 c = 0, u64 d = 0) : word{a, b, c, d} {}
    bool operator==(const RegisterValue&) const = default;
};

/// One name. RAX, EAX, AX, AL and AH are names for bits of one whole register. Segment and table registers have several:
/// "cs" is the selector, "cs.base", "cs.limit" and "cs.attr" the hidden part (attr as LAR gives it), "gdtr.base" and "gdtr.limit".
struct Register {
    std::string name;
    u16 bits = 64;        // wide
    u8 low = 0;           // its lowest bit in the whole register
    bool main = true;     // names all that a model may have of it; not an alias or a part
    u16 whole = 0;        // the same number for all names of one whole register
    Isa isa = Isa::base;  // what it came with
    struct Access {
        RegisterValue (*get)(Cpu&, unsigned n);
        void (*set)(Cpu&, unsigned n, const RegisterValue&);
    } access{};
    unsigned n = 0;       // for these
};

/// All names. Values must be written in this order: what others depend on comes first.
std::span<const Register> registers();
/// nullptr: no register is called so.
const Register* find_register(std::string_view name);

/// What the state of this processor consists of: each register once.
std::vector<const Register*> state_registers(const Cpu&);

RegisterValue read_register(Cpu&, const Register&);
/// The other bits of the whole register stay. After the last of several writes, settle_registers() must be called.
void write_register(Cpu&, const Register&, const RegisterValue&);
/// Makes everything that depends on registers agree with them. An error says what no processor of this model can hold; then the state must
/// be given up (reset, or written anew).
Result<void> settle_registers(Cpu&);
/// A debugger's change. `settles`: other state depends on it. After an error all is as before.
Result<void> change_register(Cpu&, const Register&, const RegisterValue&, bool settles);
}  // namespace calque
