// Hardware task switches (SDM vol. 3A, chapter "Task Management").
#include "cpu/helpers.h"
#include "cpu/system.h"

namespace calque {
namespace {

/// What a TSS holds of a task, in the order of the fields.
struct TaskState {
    u32 cr3 = 0, eip = 0, eflags = 0, gpr[8]{};
    u16 seg[6]{};   // ES CS SS DS FS GS
    u16 ldt = 0;
    bool trap = false;
};

bool is_32(const Segment& tr) { return tr.type() & 8; }

template <class T>
T take(const u8* at) {
    T v = 0;
    for (unsigned i = 0; i < sizeof(T); ++i) v = static_cast<T>(v | u64{at[i]} << (8 * i));
    return v;
}
void put(u8* at, u64 v, unsigned size) {
    for (unsigned i = 0; i < size; ++i) at[i] = static_cast<u8>(v >> (8 * i));
}

bool read_tss(CpuState& s, const Segment& tss, TaskState& t) {
    u8 b[104]{};
    if (is_32(tss)) {
        if (!read_linear(s, tss.base, b, 104, Rights::supervisor)) return false;
        t.cr3 = take<u32>(b + 28), t.eip = take<u32>(b + 32), t.eflags = take<u32>(b + 36);
        for (unsigned i = 0; i < 8; ++i) t.gpr[i] = take<u32>(b + 40 + 4 * i);
        for (unsigned i = 0; i < 6; ++i) t.seg[i] = take<u16>(b + 72 + 4 * i);
        t.ldt = take<u16>(b + 96);
        t.trap = b[100] & 1;
        return true;
    }
    if (!read_linear(s, tss.base, b, 44, Rights::supervisor)) return false;
    t.eip = take<u16>(b + 14), t.eflags = take<u16>(b + 16);
    for (unsigned i = 0; i < 8; ++i) t.gpr[i] = take<u16>(b + 18 + 2 * i) | 0xffff0000u;
    for (unsigned i = 0; i < 4; ++i) t.seg[i] = take<u16>(b + 34 + 2 * i);
    t.ldt = take<u16>(b + 42);
    return true;
}

/// EIP to GS of the old task; its other fields stay.
bool save_tss(CpuState& s, u32 eip, u32 flags) {
    u8 b[64];
    if (is_32(s.tr)) {
        put(b, eip, 4), put(b + 4, flags, 4);
        for (unsigned i = 0; i < 8; ++i) put(b + 8 + 4 * i, s.gpr[i], 4);
        for (unsigned i = 0; i < 6; ++i) put(b + 40 + 4 * i, s.seg[i].selector, 4);
        return write_linear(s, s.tr.base + 32, b, 64, Rights::supervisor);
    }
    put(b, eip, 2), put(b + 2, flags, 2);
    for (unsigned i = 0; i < 8; ++i) put(b + 4 + 2 * i, s.gpr[i], 2);
    for (unsigned i = 0; i < 4; ++i) put(b + 20 + 2 * i, s.seg[i].selector, 2);
    return write_linear(s, s.tr.base + 14, b, 28, Rights::supervisor);
}

unsigned minimum_limit(const Segment& tss) { return is_32(tss) ? 0x67 : 0x2b; }

bool check_new_stack(CpuState& s, u16 selector) {
    Descriptor d;
    if (!check_stack(s, selector, s.cpl, vec::TS, d)) return false;
    load_segment(s, SS, d.segment(selector));
    return true;
}

bool check_new_code(CpuState& s, u16 selector) {
    const u16 code = selector & 0xfffc;
    const unsigned rpl = selector & 3;
    Descriptor d;
    if (is_null(selector)) return fault(s, vec::TS, 0);
    if (!fetch_descriptor(s, selector, vec::TS, d)) return false;
    if (d.system() || !d.code() || (d.conforming() ? d.dpl() > rpl : d.dpl() != rpl)) return fault(s, vec::TS, code);
    if (!d.present()) return fault(s, vec::NP, code);
    if (!mark_accessed(s, d)) return false;
    load_segment(s, CS, d.segment(selector));
    return true;
}

bool check_new_data(CpuState& s, Seg n, u16 selector) {
    if (load_data_segment(s, n, selector)) return true;
    if (s.exception.vector == vec::GP) s.exception.vector = vec::TS;
    return false;
}

/// Loads the new task's segments; each that fails leaves the ones after it as bare selectors.
bool load_segments(CpuState& s, const TaskState& t) {
    const bool vm = t.eflags & eflags::VM;
    s.cpl = vm ? 3 : t.seg[CS] & 3;
    for (unsigned n = 0; n < kSegs; ++n) load_segment(s, static_cast<Seg>(n), vm ? vm86_segment(t.seg[n]) : Segment{t.seg[n], 0, 0, 0});
    s.ldtr = {t.ldt, 0, 0, 0};
    if (!load_ldtr(s, t.ldt, vec::TS)) return false;
    if (vm) return true;
    if (!check_new_code(s, t.seg[CS]) || !check_new_stack(s, t.seg[SS])) return false;
    for (const Seg n : {DS, ES, FS, GS})
        if (!check_new_data(s, n, t.seg[n])) return false;
    return true;
}

bool push_error(CpuState& s, u32 error, bool wide) {
    Stack st = Stack::current(s);
    if (!st.push(error, wide ? 4 : 2)) return false;
    st.commit();
    return true;
}

/// Everything that may fail without the switch having begun.
bool prepare(CpuState& s, u16 selector, const Segment& next, TaskReason why, TaskState& t) {
    if (next.limit < minimum_limit(next)) return fault(s, vec::TS, selector & 0xfffc);
    if (s.tr.limit < minimum_limit(s.tr)) return fault(s, vec::TS, s.tr.selector & 0xfffc);
    const unsigned begin = is_32(s.tr) ? 32 : 14, size = is_32(s.tr) ? 64 : 28;
    if (!probe_linear(s, s.tr.base + begin, size, true, Rights::supervisor)) return false;
    const bool links = why == TaskReason::call || why == TaskReason::interrupt;
    if (links && !probe_linear(s, next.base, 2, true, Rights::supervisor)) return false;
    return read_tss(s, next, t);
}

u64 busy_byte_at(const CpuState& s, u16 selector) { return s.gdtr.base + (selector & 0xfff8); }
}  // namespace

bool fetch_tss(CpuState& s, u16 selector, Descriptor& d) {
    const u16 code = selector & 0xfffc;
    if (is_null(selector) || (selector & 4)) return fault(s, vec::GP, code);
    if (!fetch_descriptor(s, selector, vec::GP, d)) return false;
    if (!d.system() || (d.type() != sysdesc::Tss16 && d.type() != sysdesc::Tss32)) return fault(s, vec::GP, code);
    return d.present() || fault(s, vec::NP, code);
}

Outcome task_switch(CpuState& s, u16 selector, Descriptor& d, TaskReason why, u64 next_rip, const u32* error, bool fault) {
    const Segment next = d.segment(selector);
    const bool wide = is_32(next), links = why == TaskReason::call || why == TaskReason::interrupt;
    TaskState t;
    if (!prepare(s, selector, next, why, t)) return Outcome::refused;

    const u16 old = s.tr.selector;
    const u32 saved = (read_eflags(s) & (why == TaskReason::iret ? ~eflags::NT : ~0u)) | (fault ? eflags::RF : 0);
    if (!links && !set_busy(s, busy_byte_at(s, old), false)) return Outcome::refused;
    if (!save_tss(s, static_cast<u32>(next_rip), saved)) return Outcome::refused;
    if (links && !write_linear_value<u16>(s, next.base, old, Rights::supervisor)) return Outcome::refused;
    if (why != TaskReason::iret && !set_busy(s, d.address, true)) return Outcome::refused;

    // From here on the new task runs.
    s.tr = next;
    s.tr.attr |= 0x200;
    s.cr0 |= cr0::TS;
    s.dr7 &= ~u64{0x155};   // local breakpoints
    s.shadow = 0;
    const bool cr3_ok = !wide || !(s.cr0 & cr0::PG) || load_cr3(s, t.cr3);
    for (unsigned i = 0; i < 8; ++i) s.gpr[i] = t.gpr[i];
    write_eflags(s, t.eflags | (links ? eflags::NT : 0));
    s.x.rip = t.eip;
    const bool ok = cr3_ok && load_segments(s, t);
    refresh_mode(s);
    if (!ok || (error && !push_error(s, *error, wide)) || !check_rip(s, s.seg[CS], t.eip)) return Outcome::faulted;
    if (t.trap) s.pending_debug |= 0x8000;   // BT
    resume_at(s, t.eip);
    return Outcome::done;
}

bool switch_task(CpuState& s, u16 selector, Descriptor& tss, TaskReason why, u64 next_rip) {
    const Outcome r = task_switch(s, selector, tss, why, next_rip);
    if (r == Outcome::faulted) deliver_exception(s);
    return r != Outcome::refused;
}
}  // namespace calque
