#include "frontend/gdb/agent.h"

#include <array>
#include <utility>

namespace calque {
namespace {
constexpr unsigned kStack = 256, kSteps = 100'000;

// "Bytecode Descriptions"
enum Op : u8 {
    Add = 0x02, Sub, Mul, DivSigned, DivUnsigned, RemSigned, RemUnsigned, Lsh, RshSigned, RshUnsigned,
    LogNot = 0x0e, BitAnd, BitOr, BitXor, BitNot, Equal, LessSigned, LessUnsigned, Ext, Ref8, Ref16, Ref32, Ref64,
    IfGoto = 0x20, Goto, Const8, Const16, Const32, Const64, Reg, End, Dup, Pop, ZeroExt, Swap,
    Pick = 0x32, Rot,
};

class Agent {
public:
    Agent(std::span<const u8> code, AgentWorld& world) : code_{code}, world_{world} {}
    std::optional<u64> run() {
        for (unsigned n = 0; ok_ && n < kSteps; ++n) {
            const u8 op = static_cast<u8>(operand(1));
            if (!ok_) break;
            if (op == End) return depth_ ? std::optional{stack_[depth_ - 1]} : std::nullopt;
            step(op);
        }
        return {};
    }

private:
    u64 operand(unsigned bytes) {   // most significant byte first
        u64 v = 0;
        for (; bytes; --bytes) {
            if (at_ >= code_.size()) return ok_ = false, 0;
            v = v << 8 | code_[at_++];
        }
        return v;
    }
    void push(u64 v) {
        if (depth_ == kStack) ok_ = false;
        else stack_[depth_++] = v;
    }
    u64 pop() { return depth_ ? stack_[--depth_] : (ok_ = false, 0); }
    void jump(u64 to) {
        if (to < code_.size()) at_ = to;
        else ok_ = false;
    }
    template <class F>
    void binary(F f) {
        const u64 b = pop(), a = pop();
        push(f(a, b));
    }
    void divide(u8 op) {
        const u64 b = pop(), a = pop();
        const auto x = static_cast<i64>(a), y = static_cast<i64>(b);
        if (b == 0) ok_ = false;
        else if (op == DivUnsigned) push(a / b);
        else if (op == RemUnsigned) push(a % b);
        else if (y == -1) push(op == DivSigned ? u64{0} - a : 0);   // the quotient may not fit
        else push(static_cast<u64>(op == DivSigned ? x / y : x % y));
    }
    void reference(unsigned bytes) {
        u8 b[8];
        if (!world_.agent_read(pop(), {b, bytes})) ok_ = false;
        u64 v = 0;
        for (unsigned i = 0; ok_ && i < bytes; ++i) v |= u64{b[i]} << (8 * i);   // the guest's byte order
        push(v);
    }
    void extend(bool sign) {
        const unsigned bits = static_cast<unsigned>(operand(1));
        const u64 v = pop();
        if (bits == 0 || bits > 64) ok_ = false;
        else if (sign) push(static_cast<u64>(static_cast<i64>(v << (64 - bits)) >> (64 - bits)));
        else push(v << (64 - bits) >> (64 - bits));
    }
    void pick() {
        const u64 n = operand(1);
        if (n < depth_) push(stack_[depth_ - 1 - n]);
        else ok_ = false;
    }
    void step(u8 op) {
        switch (op) {
        case Add: binary([](u64 a, u64 b) { return a + b; }); break;
        case Sub: binary([](u64 a, u64 b) { return a - b; }); break;
        case Mul: binary([](u64 a, u64 b) { return a * b; }); break;
        case DivSigned: case DivUnsigned: case RemSigned: case RemUnsigned: divide(op); break;
        case Lsh: binary([](u64 a, u64 b) { return b < 64 ? a << b : 0; }); break;
        case RshSigned: binary([](u64 a, u64 b) { return static_cast<u64>(static_cast<i64>(a) >> (b < 64 ? b : 63)); }); break;
        case RshUnsigned: binary([](u64 a, u64 b) { return b < 64 ? a >> b : 0; }); break;
        case LogNot: push(!pop()); break;
        case BitAnd: binary([](u64 a, u64 b) { return a & b; }); break;
        case BitOr: binary([](u64 a, u64 b) { return a | b; }); break;
        case BitXor: binary([](u64 a, u64 b) { return a ^ b; }); break;
        case BitNot: push(~pop()); break;
        case Equal: binary([](u64 a, u64 b) -> u64 { return a == b; }); break;
        case LessSigned: binary([](u64 a, u64 b) -> u64 { return static_cast<i64>(a) < static_cast<i64>(b); }); break;
        case LessUnsigned: binary([](u64 a, u64 b) -> u64 { return a < b; }); break;
        case Ext: extend(true); break;
        case ZeroExt: extend(false); break;
        case Ref8: reference(1); break;
        case Ref16: reference(2); break;
        case Ref32: reference(4); break;
        case Ref64: reference(8); break;
        case IfGoto: {
            const u64 to = operand(2);
            if (pop()) jump(to);
            break;
        }
        case Goto: jump(operand(2)); break;
        case Const8: push(operand(1)); break;
        case Const16: push(operand(2)); break;
        case Const32: push(operand(4)); break;
        case Const64: push(operand(8)); break;
        case Reg: {
            const auto v = world_.agent_register(static_cast<unsigned>(operand(2)));
            if (v) push(*v);
            else ok_ = false;
            break;
        }
        case Dup: {
            const u64 v = pop();
            push(v), push(v);
            break;
        }
        case Pop: pop(); break;
        case Swap: {
            const u64 b = pop(), a = pop();
            push(b), push(a);
            break;
        }
        case Pick: pick(); break;
        case Rot: {   // a b c => c a b
            const u64 c = pop(), b = pop(), a = pop();
            push(c), push(a), push(b);
            break;
        }
        default: ok_ = false;   // floating point, tracing, state variables: GDB does not use them in conditions
        }
    }

    std::span<const u8> code_;
    AgentWorld& world_;
    size_t at_ = 0;
    std::array<u64, kStack> stack_{};
    unsigned depth_ = 0;
    bool ok_ = true;
};
}  // namespace

std::optional<u64> run_agent(std::span<const u8> code, AgentWorld& world) { return Agent{code, world}.run(); }
}  // namespace calque
