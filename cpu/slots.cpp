// The tables by which jit/ reaches the processor's state and helpers.
#include <array>
#include <cstddef>

#include "cpu/fpu/x87.h"
#include "cpu/helpers.h"
#include "cpu/memory.h"
#include "cpu/state.h"

namespace calque {
namespace {

using jit::Type;

template <u64 (*F)(CpuState&, u64, u64, u64)>
u64 thunk(void* state, u64 a, u64 b, u64 c) {
    return F(*static_cast<CpuState*>(state), a, b, c);
}

constexpr jit::HelperInfo kHelpers[] = {
#define HELPER(name, reads, writes, flags) {#name, thunk<helper_##name>, reads, writes, flags},
#include "cpu/helpers.inc"
#undef HELPER
};

constexpr const char* kGprNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                     "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr const char* kBaseNames[] = {"es.base", "cs.base", "ss.base", "ds.base", "fs.base", "gs.base"};
constexpr const char* kReadNames[] = {"es.read_end", "cs.read_end", "ss.read_end", "ds.read_end", "fs.read_end", "gs.read_end"};
constexpr const char* kWriteNames[] = {"es.write_end", "cs.write_end", "ss.write_end", "ds.write_end", "fs.write_end", "gs.write_end"};
constexpr const char* kMmxNames[] = {"mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7"};
constexpr const char* kXmmNames[] = {"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                                     "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"};
constexpr const char* kYmmNames[] = {"ymm0.high", "ymm1.high", "ymm2.high", "ymm3.high", "ymm4.high", "ymm5.high", "ymm6.high", "ymm7.high",
                                     "ymm8.high", "ymm9.high", "ymm10.high", "ymm11.high", "ymm12.high", "ymm13.high", "ymm14.high", "ymm15.high"};

#pragma GCC diagnostic ignored "-Winvalid-offsetof"
constexpr u32 at(size_t start, size_t size, unsigned i) { return static_cast<u32>(start + size * i); }

std::array<jit::SlotInfo, slot::count> make_slots() {
    std::array<jit::SlotInfo, slot::count> t{};
    for (unsigned i = 0; i < 16; ++i) t[slot::gpr + i] = {kGprNames[i], at(offsetof(CpuState, gpr), 8, i), Type::I64};
    t[slot::flags] = {"flags", offsetof(CpuState, flags), Type::I16};
    t[slot::df] = {"df", offsetof(CpuState, df), Type::I8};
    for (unsigned i = 0; i < kSegs; ++i) {
        t[slot::base + i] = {kBaseNames[i], at(offsetof(CpuState, seg_base), 8, i), Type::I64};
        t[slot::read_end + i] = {kReadNames[i], at(offsetof(CpuState, read_end), 8, i), Type::I64};
        t[slot::write_end + i] = {kWriteNames[i], at(offsetof(CpuState, write_end), 8, i), Type::I64};
    }
    t[slot::mxcsr] = {"mxcsr", offsetof(CpuState, mxcsr), Type::I32};
    t[slot::mmx_touch] = {"x87.top_tags", offsetof(CpuState, fpu) + offsetof(FpuState, top_tags), Type::I32};
    for (unsigned i = 0; i < 8; ++i)
        t[slot::mmx + i] = {kMmxNames[i], at(offsetof(CpuState, fpu) + offsetof(FpuState, reg), sizeof(FpuState::Reg), i), Type::I64};
    for (unsigned i = 0; i < 16; ++i) {
        t[slot::xmm + i] = {kXmmNames[i], at(offsetof(CpuState, xmm), 16, i), Type::V128};
        t[slot::ymm_high + i] = {kYmmNames[i], at(offsetof(CpuState, ymm_high), 16, i), Type::V128};
    }
    for (unsigned i = 0; i < kVecArgs; ++i) t[slot::vec_arg + i] = {"vec_arg", at(offsetof(CpuState, vec_arg), 16, i), Type::V128};
    t[slot::code_end] = {"cs.end", offsetof(CpuState, code_end), Type::I64};
    t[slot::fpu_ip] = {"x87.ip", offsetof(CpuState, fpu) + offsetof(FpuState, ip), Type::I64};
    return t;
}

/// What the host's own x87 may do of the x87's helpers (cpu/fpu/x87.h). Nothing transcendental.
jit::X87Form x87_form(u16 helper, u64 descriptor) {
    using F = jit::X87Form;
    const FpuOp d = FpuOp::unpack(descriptor);
    constexpr F::Source sources[] = {F::st, F::m32, F::m64, F::m80, F::i16, F::i32, F::i64, F::constant};
    F f;
    f.source = sources[d.source], f.index = d.index, f.pops = d.pops, f.to_index = d.to_index;
    switch (static_cast<Helper>(helper)) {
    case Helper::fpu_load: f.kind = F::load; break;
    case Helper::fpu_arith: {
        constexpr F::Op ops[] = {F::add, F::mul, F::add, F::add, F::sub, F::subr, F::div, F::divr};
        const bool compares = d.op == fop::com || d.op == fop::comp || d.op == fop::ucom;
        f.kind = compares ? F::compare : F::arith;
        f.quiet = d.op == fop::ucom;
        if (!compares) f.op = ops[d.op & 7];
        break;
    }
    case Helper::fpu_compare_flags: f.kind = F::compare_flags, f.quiet = d.op == fop::ucom; break;
    case Helper::fpu_store_value: f.kind = F::store, f.truncate = d.op == fop::truncate; break;
    case Helper::fpu_store_wide:
        if (d.op == fop::stp80) f.kind = F::store_wide, f.source = F::m80;
        break;
    case Helper::fpu_store_done:
        if (d.source != FpuOp::st || d.op == fop::stp80) f.kind = F::stored;
        break;
    case Helper::fpu_stack:
        if (d.op == fop::xch) f.kind = F::exchange;
        else if (d.op == fop::move) f.kind = F::move;
        else if (d.op == fop::free && !d.pops) f.kind = F::free;
        else if (d.op == fop::cmov) f.kind = F::conditional;
        break;
    case Helper::fpu_function:
        switch (d.op) {  // the ModRM byte
        case 0xe0: f.kind = F::change_sign; break;
        case 0xe1: f.kind = F::absolute; break;
        case 0xe4: f.kind = F::test; break;
        case 0xe5: f.kind = F::examine; break;
        case 0xf4: f.kind = F::extract; break;
        case 0xf5: f.kind = F::nearest_remainder; break;
        case 0xf6: f.kind = F::step_down; break;
        case 0xf7: f.kind = F::step_up; break;
        case 0xf8: f.kind = F::remainder; break;
        case 0xfa: f.kind = F::sqrt; break;
        case 0xfc: f.kind = F::round; break;
        case 0xfd: f.kind = F::scale; break;
        default: break;
        }
        break;
    case Helper::fpu_control:
        if (d.op == fop::ldcw) f.kind = F::load_control;
        else if (d.op == fop::nclex) f.kind = F::clear_flags;
        else if (d.op == fop::wait) f.kind = F::wait;
        break;
    case Helper::fpu_word: f.kind = d.op == fop::stcw ? F::control_word : F::status_word; break;
    default: break;
    }
    return f;
}

void raise_code(void* state, u64 code) { helper_raise(*static_cast<CpuState*>(state), code, 0, 0); }
}  // namespace

const jit::Layout& cpu_layout() {
    static const auto slots = make_slots();
    constexpr u32 fpu = offsetof(CpuState, fpu);
    static constexpr jit::X87Layout x87{
        fpu + offsetof(FpuState, cw), fpu + offsetof(FpuState, sw), fpu + offsetof(FpuState, top_tags), fpu + offsetof(FpuState, reg),
        offsetof(CpuState, flags), slot::mmx_touch, 9, x87_form,
    };
    static const jit::Layout layout{
        slots.data(), slot::count, 16, slot::mxcsr, offsetof(CpuState, tlb), kHelpers,
        static_cast<u16>(Helper::count), slow_read, slow_write, raise_code, &x87,
    };
    return layout;
}
}  // namespace calque
