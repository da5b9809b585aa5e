// The text form of a block. One op a line:
//     %4 = add.i32 %2, %3
//     set.i64 s0, %4
#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "jit/ir/ir.h"

namespace calque::jit {
namespace {
const char* const kTypes[] = {"", ".i8", ".i16", ".i32", ".i64", ".v128", ".f80"};
const char* const kLanes[] = {"x8", "x16", "x32", "x64", "xf32", "xf64"};
const char* const kCmps[] = {"eq", "ne", "ult", "ule", "slt", "sle", "ugt", "uge", "sgt", "sge"};
const char* const kConds[] = {"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"};

bool is_vector(Op op) {
    switch (op) {
#define OP(name, result, args, effects) case Op::name:
#include "jit/ir/vec_ops.inc"
#undef OP
        return true;
    default: return false;
    }
}

[[gnu::format(printf, 2, 3)]] void add(std::string& out, const char* fmt, ...) {
    char text[64];
    va_list args;
    va_start(args, fmt);
    std::vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    out += text;
}

// What stands between the op's name and its arguments.
void print_fields(std::string& out, const Inst& i) {
    switch (i.op) {
    case Op::icmp: add(out, " %s", kCmps[i.aux % 10]); break;
    case Op::cond: add(out, " %s", kConds[i.aux & 15]); break;
    case Op::get: add(out, " s%u", i.slot); break;
    case Op::set: add(out, " s%u,", i.slot); break;
    case Op::extract: case Op::insert: add(out, " @%u", i.aux); break;
    case Op::load: if (i.aux & 1) out += " rw"; break;
    case Op::call: case Op::call_if: add(out, " h%" PRIu64, i.imm); break;
    case Op::insn: add(out, " 0x%" PRIx64 " +%u", i.imm, i.aux); break;
    case Op::constant: case Op::jump: case Op::branch: case Op::guard: case Op::flag_merge: add(out, " 0x%" PRIx64, i.imm); break;
    default: break;
    }
}

void print_inst(std::string& out, const Inst& i, size_t index) {
    out += "  ";
    if (result_type(i) != Type::None) add(out, "%%%zu = ", index);
    std::string name = info(i.op).name;
    if (name.back() == '_') name.pop_back();
    out += name;
    if (is_vector(i.op)) add(out, ".%s", kLanes[i.slot % 6]);
    if (!is_vector(i.op) || i.type != Type::V128) out += kTypes[static_cast<u8>(i.type) % 7];
    print_fields(out, i);
    if (is_vector(i.op) && i.aux) add(out, " #%u", i.aux);
    // A helper's absent arguments are left out at the end only.
    unsigned count = info(i.op).args;
    if (info(i.op).effects & Call)
        while (count && i.arg(count - 1) == 0) --count;
    for (unsigned k = 0; k < count; ++k) add(out, "%s%%%u", k ? ", " : " ", i.arg(k));
    out += '\n';
}
}  // namespace

std::string print(const Block& b) {
    std::string out;
    add(out, "block 0x%" PRIx64 "..0x%" PRIx64, b.rip, b.end_rip);
    add(out, " mode %x base %x insns %u\n", b.mode.bits, b.mode.base, b.insn_count);
    for (size_t n = 1; n < b.code.size(); ++n) print_inst(out, b.code[n], n);
    return out;
}
}  // namespace calque::jit
