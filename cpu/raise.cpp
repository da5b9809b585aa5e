// Raising exceptions, and the checks of addresses that translated code leaves to helpers.
#include "cpu/helpers.h"
#include "cpu/system.h"

namespace calque {

void raise(CpuState& s, u8 vector) {
    s.exception = {};
    s.exception.vector = vector;
    s.x.fault = jit::Fault::raise;
}

void raise(CpuState& s, u8 vector, u32 error) {
    raise(s, vector);
    s.exception.has_error = true;
    // "Error Code": EXT is set when the exception occurred during delivery of an event external to the program.
    const bool selector_code = vector >= vec::TS && vector <= vec::GP;
    s.exception.error = error | (selector_code && s.external_event);
}

void raise_page_fault(CpuState& s, u64 address, u32 error) {
    raise(s, vec::PF, error);
    s.exception.address = address;
}

bool fault(CpuState& s, u8 vector, u32 error) {
    raise(s, vector, error);
    return false;
}

u64 helper_raise(CpuState& s, u64 code, u64, u64) {
    const u8 vector = static_cast<u8>(code);
    if (code & 0x100) raise(s, vector, static_cast<u32>(code >> 16 & 0xffff));
    else raise(s, vector);
    return 0;
}

// SDM vol. 3A, "Limit Checking" and "Type Checking".
bool in_segment(const CpuState& s, const Segment& g, u64 offset, unsigned size, bool write) {
    if (s.protected_mode() && !s.vm86() && !(g.present() && (write ? g.writable() : g.readable()))) return false;
    const u64 last = offset + size - 1;
    const bool down = !g.code() && (g.attr & 0x400);
    if (down) return offset > g.limit && last <= (g.big() ? 0xffffffffu : 0xffffu);
    return last <= g.limit;
}

u64 helper_seg_check(CpuState& s, u64 offset, u64 size, u64 what) {
    const auto seg = static_cast<Seg>(what & 7);
    if (!in_segment(s, s.seg[seg], offset, static_cast<unsigned>(size), what >> 8 & 1)) raise(s, seg == SS ? vec::SS : vec::GP, 0);
    return 0;
}

u64 helper_misaligned(CpuState& s, u64 linear, u64 size, u64 seg) {
    if (s.code64() ? !canonical(linear) || !canonical(linear + size - 1) : passes_flat_limit(s, linear, static_cast<unsigned>(size))) raise(s, seg == SS ? vec::SS : vec::GP, 0);
    else raise(s, vec::AC, 0);
    return 0;
}

u64 helper_canonical(CpuState& s, u64 linear, u64, u64 seg) {
    if (!canonical(linear)) raise(s, seg == SS ? vec::SS : vec::GP, 0);
    return 0;
}

u64 helper_refuse_call(CpuState& s, u64 linear, u64 size, u64) {
    if (probe_linear(s, linear, static_cast<unsigned>(size), true)) raise(s, vec::GP, 0);
    return 0;
}

u64 helper_code_limit(CpuState& s, u64, u64 single, u64) {
    if (single) raise(s, vec::GP, 0);
    else s.x.fault = jit::Fault::alone_code;
    return 0;
}

bool check_rip(CpuState& s, const Segment& cs, u64 rip) {
    const bool ok = s.long_active() && cs.long_mode() ? canonical(rip) : rip <= cs.limit;
    return ok || fault(s, vec::GP, 0);
}

// ---- stacks

Stack Stack::of(CpuState& s, const Segment& ss, u64 sp, unsigned cpl, bool long_mode) {
    const unsigned width = long_mode ? 8 : ss.big() ? 4 : 2;
    Stack st{s, ss, sp, width, cpl == 3 ? Rights::user : Rights::supervisor};
    st.sp = st.cut(sp);
    return st;
}

Stack Stack::current(CpuState& s) {
    Stack st = of(s, s.seg[SS], s.gpr[RSP], s.cpl, s.code64());
    st.rights = Rights::current;
    return st;
}

static bool stack_address(const Stack& st, u64 offset, unsigned size, bool write, u64& linear) {
    if (st.width == 8) {
        linear = offset;
        if (!canonical(offset) || !canonical(offset + size - 1)) return fault(st.s, vec::SS, st.error);
    } else {
        linear = (st.ss.base + offset) & 0xffffffff;
        if (!in_segment(st.s, st.ss, offset, size, write)) return fault(st.s, vec::SS, st.error);
    }
    const bool checked = (st.s.x.mode.bits & mode::AlignCheck) && st.rights == Rights::current;
    return !checked || !(linear & (size - 1)) || fault(st.s, vec::AC, 0);
}

bool Stack::push(u64 value, unsigned size) {
    const u64 to = cut(sp - size);
    u64 linear;
    if (!stack_address(*this, to, size, true, linear)) return false;
    u8 b[8];
    for (unsigned i = 0; i < size; ++i) b[i] = static_cast<u8>(value >> (8 * i));
    if (!write_linear(s, linear, b, size, rights)) return false;
    sp = to;
    return true;
}

bool Stack::peek(u64 offset, u64& value, unsigned size) {
    u64 linear;
    if (!stack_address(*this, cut(sp + offset), size, false, linear)) return false;
    u8 b[8];
    if (!read_linear(s, linear, b, size, rights)) return false;
    value = 0;
    for (unsigned i = 0; i < size; ++i) value |= u64{b[i]} << (8 * i);
    return true;
}

bool Stack::pop(u64& value, unsigned size) {
    if (!peek(0, value, size)) return false;
    skip(size);
    return true;
}

void set_sp(CpuState& s, u64 sp, unsigned width) {
    u64& r = s.gpr[RSP];
    r = width == 8 ? sp : width == 4 ? sp & 0xffffffff : (r & ~u64{0xffff}) | (sp & 0xffff);
}

void Stack::commit() const { set_sp(s, sp, width); }

void resume_at(CpuState& s, u64 rip) {
    s.x.rip = rip;
    compute_mode(s);
    s.cpu->check_events();
}
}  // namespace calque
