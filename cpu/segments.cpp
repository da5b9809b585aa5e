// Loading segment registers, and the instructions that inspect descriptors (SDM vol. 3A, chapters "Protected-Mode Memory
// Management" and "Protection").
#include <algorithm>

#include "cpu/helpers.h"
#include "cpu/system.h"

namespace calque {
namespace {

/// Linear address of a selector's descriptor when `bytes` of it lie inside its table.
bool locate(const CpuState& s, u16 selector, unsigned bytes, u64& at) {
    const bool local = selector & 4;
    if (local && (!s.ldtr.present() || is_null(s.ldtr.selector))) return false;
    const u64 limit = local ? s.ldtr.limit : s.gdtr.limit, offset = selector & 0xfff8;
    if (offset + bytes - 1 > limit) return false;
    at = (local ? s.ldtr.base : s.gdtr.base) + offset;
    if (!s.long_active()) at &= 0xffffffff;
    return true;
}

bool read_descriptor(CpuState& s, u64 at, Descriptor& d) {
    d.address = at;
    u64 raw;
    if (!read_linear(s, at, raw, Rights::supervisor)) return false;
    d.lo = static_cast<u32>(raw), d.hi = static_cast<u32>(raw >> 32);
    return true;
}

bool wide_system(const CpuState& s, const Descriptor& d) {
    return s.long_active() && d.system() && d.type() != 0;
}

bool update_type(CpuState& s, u64 descriptor, u8 set, u8 clear) {
    u8 b;
    if (!read_linear(s, descriptor + 5, b, Rights::supervisor)) return false;
    return write_linear_value<u8>(s, descriptor + 5, static_cast<u8>((b | set) & ~clear), Rights::supervisor);
}

/// For LAR, LSL, VERR, VERW: reads without raising anything but page faults. `found` false: the selector names nothing.
bool inspect(CpuState& s, u16 selector, Descriptor& d, bool& found) {
    u64 at;
    found = !is_null(selector) && locate(s, selector, 8, at);
    if (!found) return true;
    if (!read_descriptor(s, at, d)) return false;
    const bool reachable = d.code() && d.conforming() ? true : d.dpl() >= std::max<unsigned>(s.cpl, selector & 3);
    found = reachable;
    if (found && wide_system(s, d)) {
        u64 whole;
        found = locate(s, selector, 16, whole);
    }
    return true;
}

bool no_such_mode(CpuState& s) {   // LAR and friends are not recognised in real-address and virtual-8086 mode
    if (s.protected_mode() && !s.vm86()) return false;
    raise(s, vec::UD);
    return true;
}

void set_zf(CpuState& s, bool on) { s.flags = static_cast<u16>(on ? s.flags | jit::fl::ZF : s.flags & ~jit::fl::ZF); }

bool umip(CpuState& s) {   // SDM vol. 3A, "User-Mode Instruction Prevention"
    if ((s.cr4 & cr4::UMIP) && s.cpl > 0) return !fault(s, vec::GP, 0);
    return false;
}
}  // namespace

bool fetch_descriptor(CpuState& s, u16 selector, u8 vector, Descriptor& d) {
    u64 at;
    if (!locate(s, selector, 8, at)) return fault(s, vector, selector & 0xfffc);
    d.upper = 0;
    return read_descriptor(s, at, d);
}

bool fetch_upper(CpuState& s, u16 selector, u8 vector, Descriptor& d) {
    if (!s.long_active()) return true;
    u64 at, raw;
    if (!locate(s, selector, 16, at)) return fault(s, vector, selector & 0xfffc);
    if (!read_linear(s, at + 8, raw, Rights::supervisor)) return false;
    if (raw >> 40 & 0x1f) return fault(s, vector, selector & 0xfffc);
    d.upper = static_cast<u32>(raw);
    return true;
}

bool mark_accessed(CpuState& s, Descriptor& d) {
    if (d.hi & 0x100) return true;
    if (!update_type(s, d.address, 1, 0)) return false;
    d.hi |= 0x100;
    return true;
}

bool set_busy(CpuState& s, u64 at, bool busy) { return update_type(s, at, busy ? 2 : 0, busy ? 0 : 2); }

bool check_stack(CpuState& s, u16 selector, unsigned cpl, u8 vector, Descriptor& d) {
    const u16 code = selector & 0xfffc;
    if (is_null(selector)) return fault(s, vector, 0);
    if (!fetch_descriptor(s, selector, vector, d)) return false;
    if ((selector & 3u) != cpl || d.system() || !d.writable_data() || d.dpl() != cpl) return fault(s, vector, code);
    if (!d.present()) return fault(s, vec::SS, code);
    return mark_accessed(s, d);
}

void load_segment(CpuState& s, Seg n, const Segment& g) {
    s.seg[n] = g;
    update_segment(s, n);
}

Segment real_segment(const CpuState& s, Seg n, u16 selector) {
    Segment g = s.seg[n];   // the limit and rights of before stay: "unreal mode" lives from it
    g.selector = selector;
    g.base = u32{selector} << 4;
    return g;
}

Segment vm86_segment(u16 selector) { return {selector, 0xf300, 0xffff, u32{selector} << 4}; }

static bool check_data_segment(CpuState& s, u16 selector, Descriptor& d) {
    const u16 code = selector & 0xfffc;
    if (!fetch_descriptor(s, selector, vec::GP, d)) return false;
    if (d.system() || !d.readable()) return fault(s, vec::GP, code);
    if (!d.conforming() && d.dpl() < std::max<unsigned>(selector & 3, s.cpl)) return fault(s, vec::GP, code);
    if (!d.present()) return fault(s, vec::NP, code);
    return mark_accessed(s, d);
}

bool load_data_segment(CpuState& s, Seg n, u16 selector) {
    if (!s.protected_mode() || s.vm86()) return load_segment(s, n, s.vm86() ? vm86_segment(selector) : real_segment(s, n, selector)), true;
    Descriptor d;
    if (n == SS) {
        // 64-bit mode runs with a null SS at CPL 0 to 2.
        if (is_null(selector) && s.code64() && s.cpl != 3 && (selector & 3u) == s.cpl) return load_segment(s, SS, {selector, 0, 0, 0}), true;
        if (!check_stack(s, selector, s.cpl, vec::GP, d)) return false;
    } else {
        if (is_null(selector)) return load_segment(s, n, {selector, 0, 0, 0}), true;
        if (!check_data_segment(s, selector, d)) return false;
    }
    load_segment(s, n, d.segment(selector));
    return true;
}

/// LDTR or TR from a descriptor. The processor refuses a base that is not canonical, though the manual does not list it.
static bool load_system_segment(CpuState& s, u16 selector, u8 vector, const Descriptor& d, Segment& to) {
    const u64 base = d.base() | u64{d.upper} << 32;
    if (s.long_active() && !canonical(base)) return fault(s, vector, selector & 0xfffc);
    to = d.segment(selector);
    to.base = base;
    return true;
}

bool load_ldtr(CpuState& s, u16 selector, u8 vector) {
    if (is_null(selector)) return s.ldtr = {selector, 0, 0, 0}, true;
    const u16 code = selector & 0xfffc;
    Descriptor d;
    if (selector & 4) return fault(s, vector, code);
    if (!fetch_descriptor(s, selector, vector, d)) return false;
    if (!d.system() || d.type() != sysdesc::Ldt) return fault(s, vector, code);
    if (!d.present()) return fault(s, vector == vec::TS ? vec::TS : vec::NP, code);
    return fetch_upper(s, selector, vector, d) && load_system_segment(s, selector, vector, d, s.ldtr);
}

void drop_inner_segments(CpuState& s) {
    for (const Seg n : {ES, DS, FS, GS}) {
        Segment& g = s.seg[n];
        if (is_null(g.selector)) g.selector = 0;   // the processor treats it like a segment of DPL 0, and drops its RPL
        else if (!(g.code() && g.conforming()) && g.dpl() < s.cpl) load_segment(s, n, {0, 0, 0, 0});
    }
}

u64 helper_mov_to_seg(CpuState& s, u64 n, u64 selector, u64 next) {
    if (!load_data_segment(s, static_cast<Seg>(n), static_cast<u16>(selector))) return 0;
    if (n == SS) s.shadow = ShadowMovSs, s.shadow_at = s.x.icount() + 1;
    return finish(s, next);
}

u64 helper_load_seg_8086(CpuState& s, u64 n, u64 selector, u64 shadow) {
    const auto seg = static_cast<Seg>(n);
    load_segment(s, seg, s.vm86() ? vm86_segment(static_cast<u16>(selector)) : real_segment(s, seg, static_cast<u16>(selector)));
    if (seg == SS && shadow) s.shadow = ShadowMovSs, s.shadow_at = s.x.icount() + 1;
    return 0;
}

u64 helper_load_far(CpuState& s, u64 n, u64 selector, u64 next) {
    if (!load_data_segment(s, static_cast<Seg>(n), static_cast<u16>(selector))) return 0;
    return finish(s, next);
}

u64 helper_selector(CpuState& s, u64 n, u64, u64) { return s.seg[n < kSegs ? n : 0].selector; }

u64 helper_lldt_ltr(CpuState& s, u64 a, u64 ltr, u64 next) {
    if (no_such_mode(s)) return 0;
    if (s.cpl) return raise(s, vec::GP, 0), 0;
    const u16 selector = static_cast<u16>(a), code = selector & 0xfffc;
    if (!ltr) return load_ldtr(s, selector, vec::GP) ? finish(s, next) : 0;
    Descriptor d;
    if (is_null(selector)) return fault(s, vec::GP, 0);
    if (selector & 4) return fault(s, vec::GP, code);
    if (!fetch_descriptor(s, selector, vec::GP, d)) return 0;
    const bool tss = d.system() && (d.type() == sysdesc::Tss32 || (d.type() == sysdesc::Tss16 && !s.long_active()));
    if (!tss) return fault(s, vec::GP, code);
    if (!d.present()) return fault(s, vec::NP, code);
    Segment task;
    if (!fetch_upper(s, selector, vec::GP, d) || !load_system_segment(s, selector, vec::GP, d, task) || !set_busy(s, d.address, true)) return 0;
    s.tr = task;
    s.tr.attr |= 0x200;
    return finish(s, next);
}

u64 helper_sldt_str(CpuState& s, u64, u64 str, u64) {
    if (no_such_mode(s) || umip(s)) return 0;
    return str ? s.tr.selector : s.ldtr.selector;
}

u64 helper_lgdt_lidt(CpuState& s, u64 base, u64 limit, u64 next) {
    if (s.cpl) return fault(s, vec::GP, 0);
    if (s.code64() && !canonical(base)) return fault(s, vec::GP, 0);
    (limit >> 32 ? s.idtr : s.gdtr) = {base, static_cast<u32>(limit & 0xffff)};
    return finish(s, next);
}

u64 helper_table_base(CpuState& s, u64, u64 idt, u64) { return umip(s) ? 0 : idt ? s.idtr.base : s.gdtr.base; }
u64 helper_table_limit(CpuState& s, u64, u64 idt, u64) { return umip(s) ? 0 : idt ? s.idtr.limit : s.gdtr.limit; }

// LAR and LSL accept these system types (SDM vol. 2A, "LAR", "LSL").
u64 helper_lar(CpuState& s, u64 selector, u64 unchanged, u64) {
    Descriptor d;
    bool found;
    if (no_such_mode(s) || !inspect(s, static_cast<u16>(selector), d, found)) return 0;
    const u32 legacy = 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 9 | 1u << 11 | 1u << 12;
    const u32 long_mode = 1u << 2 | 1u << 9 | 1u << 11 | 1u << 12;
    if (found && d.system()) found = (s.long_active() ? long_mode : legacy) >> d.type() & 1;
    set_zf(s, found);
    return found ? d.hi & 0x00ffff00 : unchanged;
}

u64 helper_lsl(CpuState& s, u64 selector, u64 unchanged, u64) {
    Descriptor d;
    bool found;
    if (no_such_mode(s) || !inspect(s, static_cast<u16>(selector), d, found)) return 0;
    const u32 legacy = 1u << 1 | 1u << 2 | 1u << 3 | 1u << 9 | 1u << 11, long_mode = 1u << 2 | 1u << 9 | 1u << 11;
    if (found && d.system()) found = (s.long_active() ? long_mode : legacy) >> d.type() & 1;
    set_zf(s, found);
    return found ? d.limit() : unchanged;
}

u64 helper_verr_verw(CpuState& s, u64 selector, u64 write, u64) {
    Descriptor d;
    bool found;
    if (no_such_mode(s) || !inspect(s, static_cast<u16>(selector), d, found)) return 0;
    set_zf(s, found && !d.system() && (write ? d.writable_data() : d.readable()));
    return 0;
}
}  // namespace calque
