// The processor's registers as GDB sees them (docs/decisions/0008-gdb-registers.md): the names of its 32-bit and 64-bit architectures at
// once, so that `set architecture` works at any time, and everything else of cpu/registers.h in a feature of our own.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cpu/cpu.h"
#include "cpu/registers.h"
#include "frontend/gdb/target.h"

namespace calque {

class GdbRegisters {
public:
    explicit GdbRegisters(Cpu&);

    std::span<const GdbRegister> all() const { return public_; }
    /// target.xml. The architecture in it is that of the code the processor runs now.
    std::string description() const;
    void read(unsigned n, std::span<u8> out);
    /// How a register is changed; `settles`: other state depends on it.
    using Setter = std::function<Result<void>(const Register&, const RegisterValue&, bool settles)>;
    Result<void> write(unsigned n, std::span<const u8> in, const Setter&);
    /// Numbers of the program counter and the stack and frame pointers, under both names.
    std::span<const unsigned> expedited() const { return expedited_; }
    /// The linear address of the next instruction.
    u64 pc() const;

private:
    enum class Special : u8 { none, pc, icount, code_bits };
    struct Row {
        const Register* source = nullptr;
        Special special = Special::none;
        bool settles = true;       // other state depends on it
        unsigned first_word = 0;   // of the source's value: 2 for the upper half of a YMM register
        std::string type;
        std::string feature;
    };
    void add(const std::string& feature, const std::string& name, const char* source, unsigned bits, const std::string& type, unsigned first_word = 0);
    void add_special(const std::string& feature, const std::string& name, Special, unsigned bits);
    void add_the_rest();
    RegisterValue value(unsigned n);
    Result<void> set_pc(u64 linear, const Setter&);

    Cpu& cpu_;
    std::vector<GdbRegister> public_;
    std::vector<Row> rows_;
    std::vector<unsigned> expedited_;
};
}  // namespace calque
