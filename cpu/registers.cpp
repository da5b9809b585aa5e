// The table of register names, and what makes a state that was written register by register a possible one.
#include "cpu/registers.h"

#include <type_traits>
#include <unordered_map>
#include <vector>

#include "cpu/apic.h"
#include "cpu/debug.h"
#include "cpu/fpu/x87.h"
#include "cpu/model.h"
#include "cpu/system.h"

namespace calque {
namespace {

using Value = RegisterValue;
using Access = Register::Access;

// ---- ways to reach them

/// A number in CpuState or in its x87 part.
template <auto Field>
u64 get_field(Cpu& c) {
    if constexpr (std::is_same_v<decltype(Field), u16 FpuState::*> || std::is_same_v<decltype(Field), u64 FpuState::*>) return c.state().fpu.*Field;
    else return c.state().*Field;
}
template <auto Field>
void set_field(Cpu& c, u64 v) {
    const auto put = [&](auto& to) { to = static_cast<std::remove_reference_t<decltype(to)>>(v); };
    if constexpr (std::is_same_v<decltype(Field), u16 FpuState::*> || std::is_same_v<decltype(Field), u64 FpuState::*>) put(c.state().fpu.*Field);
    else put(c.state().*Field);
}
template <auto Field>
constexpr Access field{[](Cpu& c, unsigned) -> Value { return get_field<Field>(c); },
                       [](Cpu& c, unsigned, const Value& v) { set_field<Field>(c, v.word[0]); }};
template <auto Array>
constexpr Access element{[](Cpu& c, unsigned n) -> Value { return (c.state().*Array)[n]; },
                         [](Cpu& c, unsigned n, const Value& v) { (c.state().*Array)[n] = v.word[0]; }};

constexpr unsigned kLdtr = kSegs, kTr = kSegs + 1;
Segment& segment(Cpu& c, unsigned n) { return n == kLdtr ? c.state().ldtr : n == kTr ? c.state().tr : c.state().seg[n]; }
template <auto Part>
constexpr Access hidden{[](Cpu& c, unsigned n) -> Value { return u64{segment(c, n).*Part}; },
                        [](Cpu& c, unsigned n, const Value& v) { segment(c, n).*Part = static_cast<std::remove_reference_t<decltype(segment(c, n).*Part)>>(v.word[0]); }};
constexpr Access selector{[](Cpu& c, unsigned n) -> Value { return u64{segment(c, n).selector}; },
                          [](Cpu& c, unsigned n, const Value& v) {
                              const CpuState& s = c.state();
                              segment(c, n).selector = static_cast<u16>(v.word[0]);
                              if (n < kSegs && (!s.protected_mode() || s.vm86())) segment(c, n).base = v.word[0] * 16;
                          }};
CpuState::Table& table(Cpu& c, unsigned n) { return n ? c.state().idtr : c.state().gdtr; }
constexpr Access table_base{[](Cpu& c, unsigned n) -> Value { return table(c, n).base; }, [](Cpu& c, unsigned n, const Value& v) { table(c, n).base = v.word[0]; }};
constexpr Access table_limit{[](Cpu& c, unsigned n) -> Value { return u64{table(c, n).limit}; },
                             [](Cpu& c, unsigned n, const Value& v) { table(c, n).limit = static_cast<u32>(v.word[0]); }};

constexpr Access cr8{[](Cpu& c, unsigned) -> Value { return u64{c.apic().cr8()}; },
                     [](Cpu& c, unsigned, const Value& v) { c.apic().set_cr8(static_cast<u8>(v.word[0])); }};
constexpr Access rip{[](Cpu& c, unsigned) -> Value { return c.state().x.rip; }, [](Cpu& c, unsigned, const Value& v) { c.state().x.rip = v.word[0]; }};
constexpr Access flags{[](Cpu& c, unsigned) -> Value { return u64{read_eflags(c.state())}; },
                       [](Cpu& c, unsigned, const Value& v) { write_eflags(c.state(), static_cast<u32>(v.word[0])); }};

constexpr Access control_word{[](Cpu& c, unsigned) -> Value { return u64{c.state().fpu.cw}; },
                              [](Cpu& c, unsigned, const Value& v) { c.state().fpu.cw = static_cast<u16>((v.word[0] & 0x1f3f) | 0x40); }};
constexpr Access fsw_access{[](Cpu& c, unsigned) -> Value { return u64{status_word(c.state().fpu)}; },
                            [](Cpu& c, unsigned, const Value& v) { set_status_word(c.state().fpu, static_cast<u16>(v.word[0])); }};
constexpr Access tag_word{[](Cpu& c, unsigned) -> Value { return u64{full_tags(c.state().fpu)}; },
                          [](Cpu& c, unsigned, const Value& v) { set_full_tags(c.state().fpu, static_cast<u16>(v.word[0])); }};
unsigned physical(const FpuState& f, unsigned n) { return (f.top_tags + n) & 7; }
constexpr Access st{[](Cpu& c, unsigned n) -> Value {
                        const auto& r = c.state().fpu.reg[physical(c.state().fpu, n)];
                        return {r.sig, r.se};
                    },
                    [](Cpu& c, unsigned n, const Value& v) {   // not empty any more
                        FpuState& f = c.state().fpu;
                        f.reg[physical(f, n)] = {v.word[0], static_cast<u16>(v.word[1])};
                        f.top_tags |= 0x100u << physical(f, n);
                    }};
constexpr Access mm{[](Cpu& c, unsigned n) -> Value { return c.state().fpu.reg[n].sig; },
                    [](Cpu& c, unsigned n, const Value& v) { c.state().fpu.reg[n] = {v.word[0], 0xffff}; }};
constexpr Access ymm{[](Cpu& c, unsigned n) -> Value {
                         const jit::V128 &low = c.state().xmm[n], &high = c.state().ymm_high[n];
                         return {low.lo, low.hi, high.lo, high.hi};
                     },
                     [](Cpu& c, unsigned n, const Value& v) {
                         c.state().xmm[n] = {v.word[0], v.word[1]};
                         c.state().ymm_high[n] = {v.word[2], v.word[3]};
                     }};

// ---- the table

struct Table {
    std::vector<Register> rows;
    std::unordered_map<std::string_view, const Register*> by_name;
    u16 wholes = 0;

    void add(std::string name, u16 bits, Access access, unsigned n = 0, Isa isa = Isa::base) {
        rows.push_back({std::move(name), bits, 0, true, ++wholes, isa, access, n});
    }
    /// Another name for bits of the last whole register.
    void part(std::string name, u16 bits, u8 low = 0) {
        Register r = rows.back();
        r.name = std::move(name), r.bits = bits, r.low = low, r.main = false;
        rows.push_back(std::move(r));
    }
    static std::string numbered(const char* stem, unsigned n) { return std::string{stem} + std::to_string(n); }
    void run(const char* stem, unsigned count, u16 bits, Access access, Isa isa = Isa::base) {
        for (unsigned n = 0; n < count; ++n) add(numbered(stem, n), bits, access, n, isa);
    }
    void general();
    void control();
    void segments();
    void x87();
    void sse();
    void msrs();
    Table() {
        general(), control(), segments(), x87(), sse(), msrs();
        for (const Register& r : rows) by_name.emplace(r.name, &r);
    }
};

void Table::control() {
    add("cr0", 64, field<&CpuState::cr0>);
    add("cr2", 64, field<&CpuState::cr2>);
    add("cr3", 64, field<&CpuState::cr3>);
    add("cr4", 64, field<&CpuState::cr4>);
    add("cr8", 4, cr8, 0, Isa::long_mode);
    add("efer", 64, field<&CpuState::efer>, 0, Isa::msr);
    add("xcr0", 64, field<&CpuState::xcr0>, 0, Isa::xsave);
    run("dr", 4, 64, element<&CpuState::dr>);
    for (const unsigned n : {6u, 7u}) {
        add(numbered("dr", n), 32, n == 6 ? field<&CpuState::dr6> : field<&CpuState::dr7>);
        part(numbered("dr", n - 2), 32);
    }
}

void Table::segments() {
    add("cpl", 2, field<&CpuState::cpl>);
    constexpr const char* kNames[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
    for (unsigned n = 0; n < std::size(kNames); ++n) {
        const std::string name = kNames[n];
        add(name, 16, selector, n);
        add(name + ".base", 64, hidden<&Segment::base>, n);
        add(name + ".limit", 32, hidden<&Segment::limit>, n);
        add(name + ".attr", 24, hidden<&Segment::attr>, n);
    }
    for (unsigned n = 0; n < 2; ++n) {
        const std::string name = n ? "idtr" : "gdtr";
        add(name + ".base", 64, table_base, n);
        add(name + ".limit", 16, table_limit, n);
    }
}

void Table::general() {
    constexpr const char* kWords[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
    for (unsigned n = 0; n < 8; ++n) {
        const std::string word = kWords[n];
        add(std::string{'r'} + word, 64, element<&CpuState::gpr>, n);
        part(std::string{'e'} + word, 32), part(word, 16);
        if (n >= 4) part(word + "l", 8);
        else part(word.substr(0, 1) + "l", 8), part(word.substr(0, 1) + "h", 8, 8);
    }
    for (unsigned n = 8; n < 16; ++n) {
        const std::string name = numbered("r", n);
        add(name, 64, element<&CpuState::gpr>, n, Isa::long_mode);
        part(name + "d", 32), part(name + "w", 16), part(name + "b", 8);
    }
    add("rip", 64, rip);
    part("eip", 32), part("ip", 16), part("pc", 64);
    add("rflags", 32, flags);   // with CR0, it says what segment selectors mean
    part("eflags", 32), part("flags", 16);
}

void Table::x87() {
    add("fcw", 16, control_word, 0, Isa::fpu);
    add("fsw", 16, fsw_access, 0, Isa::fpu);   // before the registers: it has TOP
    run("st", 8, 80, st, Isa::fpu);
    run("mm", 8, 64, mm, Isa::mmx);
    for (unsigned n = 1; n <= 8; ++n) rows[rows.size() - n].main = false;   // they are the significands of st0 to st7
    add("ftw", 16, tag_word, 0, Isa::fpu);     // after them: it has the last word on what is empty
    add("fop", 11, field<&FpuState::opcode>, 0, Isa::fpu);
    add("fip", 64, field<&FpuState::ip>, 0, Isa::fpu);
    add("fcs", 16, field<&FpuState::ip_sel>, 0, Isa::fpu);
    add("fdp", 64, field<&FpuState::dp>, 0, Isa::fpu);
    add("fds", 16, field<&FpuState::dp_sel>, 0, Isa::fpu);
}

void Table::sse() {
    add("mxcsr", 16, field<&CpuState::mxcsr>, 0, Isa::sse);
    for (unsigned n = 0; n < 16; ++n) {
        add(numbered("ymm", n), 256, ymm, n, Isa::avx);
        part(numbered("xmm", n), 128);
        rows.back().main = true, rows.back().isa = Isa::sse;   // without AVX it is all there is
    }
}

void Table::msrs() {
    add("star", 64, field<&CpuState::star>, 0, Isa::syscall);
    add("lstar", 64, field<&CpuState::lstar>, 0, Isa::syscall);
    add("cstar", 64, field<&CpuState::cstar>, 0, Isa::syscall);
    add("sfmask", 32, field<&CpuState::sfmask>, 0, Isa::syscall);
    add("kernel_gs_base", 64, field<&CpuState::kernel_gs_base>, 0, Isa::long_mode);
    add("tsc_aux", 32, field<&CpuState::tsc_aux>, 0, Isa::rdtscp);
    add("sysenter_cs", 32, field<&CpuState::sysenter_cs>, 0, Isa::sep);
    add("sysenter_esp", 64, field<&CpuState::sysenter_esp>, 0, Isa::sep);
    add("sysenter_eip", 64, field<&CpuState::sysenter_eip>, 0, Isa::sep);
}

const Table& all() {
    static const Table t;
    return t;
}

// ---- what must hold

u64 low_bits(unsigned n) { return n >= 64 ? ~u64{0} : (u64{1} << n) - 1; }

Error impossible(const std::string& what) { return {what}; }

Result<void> check_control(const CpuState& s) {
    constexpr u64 kCr0 = cr0::PE | cr0::MP | cr0::EM | cr0::TS | cr0::ET | cr0::NE | cr0::WP | cr0::AM | cr0::NW | cr0::CD | cr0::PG;
    if (s.cr0 & ~kCr0) return impossible("cr0 has reserved bits");
    if ((s.cr0 & cr0::PG) && !(s.cr0 & cr0::PE)) return impossible("cr0 has PG without PE");
    if ((s.cr0 & cr0::NW) && !(s.cr0 & cr0::CD)) return impossible("cr0 has NW without CD");
    if (s.cr4 & ~cr4_allowed(s)) return impossible("cr4 has bits that this processor does not have");
    if (s.efer & ~efer_allowed(s)) return impossible("efer has bits that this processor does not have");
    const bool lme = s.efer & efer::LME, pg = s.cr0 & cr0::PG, pae = s.cr4 & cr4::PAE;
    if ((s.efer & efer::LMA) && !(lme && pg)) return impossible("efer has LMA without LME and cr0.PG");
    if (lme && pg && !pae) return impossible("long mode needs cr4.PAE");
    if ((s.cr4 & cr4::PCIDE) && !(lme && pg)) return impossible("cr4 has PCIDE outside of long mode");
    if (s.cr3 & ~(lme && pg ? kPhysMask : u64{0xffffffff})) return impossible("cr3 is too large");
    if (!(s.xcr0 & 1) || (s.xcr0 & ~(xcr0_supported(s.cpu->features()) | 1))) return impossible("xcr0 has bits that this processor does not have, or lacks bit 0");
    return {};
}

Result<void> check_privilege(const CpuState& s) {
    if (!s.protected_mode() && s.cpl) return impossible("real mode has no privilege level but 0");
    if (!s.vm86()) return {};
    if (!s.protected_mode() || s.long_active()) return impossible("rflags has VM in a mode without it");
    return s.cpl == 3 ? Result<void>{} : impossible("virtual-8086 mode has no privilege level but 3");
}

Result<void> check_segments(Cpu& c) {
    const CpuState& s = c.state();
    const bool lm = s.long_active();
    const auto base_ok = [&](u64 base) { return lm ? canonical(base) : !(base >> 32); };
    for (unsigned n = 0; n <= kTr; ++n) {
        const Segment& g = segment(c, n);
        if (!base_ok(g.base)) return impossible("the base of a segment is too large");
        if (g.attr & ~0xf0ff00u) return impossible("attr has bits outside of 0xf0ff00, which LAR gives");
    }
    if (!base_ok(s.gdtr.base) || !base_ok(s.idtr.base)) return impossible("the base of gdtr or idtr is too large");
    if (s.seg[CS].long_mode() && lm && s.seg[CS].big()) return impossible("cs has both L and D");
    const bool code64 = lm && s.seg[CS].long_mode();
    if (!code64 && s.x.rip >> 32) return impossible("rip is too large outside of 64-bit mode");
    return {};
}
}  // namespace

std::span<const Register> registers() { return all().rows; }

const Register* find_register(std::string_view name) {
    const auto i = all().by_name.find(name);
    return i == all().by_name.end() ? nullptr : i->second;
}

std::vector<const Register*> state_registers(const Cpu& c) {
    std::vector<const Register*> out;
    for (const Register& r : registers())
        if (r.main && (r.isa == Isa::base || c.has_feature(r.isa)) && (out.empty() || out.back()->whole != r.whole)) out.push_back(&r);
    return out;
}

RegisterValue read_register(Cpu& c, const Register& r) {
    RegisterValue v = r.access.get(c, r.n);
    if (r.low) v.word[0] >>= r.low;
    for (unsigned i = 0; i < 4; ++i) v.word[i] &= r.bits > 64 * i ? low_bits(r.bits - 64 * i) : 0;
    return v;
}

void write_register(Cpu& c, const Register& r, const RegisterValue& v) {
    RegisterValue whole = r.access.get(c, r.n);
    for (unsigned i = 0; i < 4; ++i) {
        const u64 mask = r.bits > 64 * i ? low_bits(r.bits - 64 * i) << r.low : 0;
        whole.word[i] = (whole.word[i] & ~mask) | (v.word[i] << r.low & mask);
    }
    r.access.set(c, r.n, whole);
}

Result<void> settle_registers(Cpu& c) {
    CpuState& s = c.state();
    s.cr0 |= cr0::ET;
    s.dr6 = (s.dr6 & 0xe00f) | 0xffff0ff0;
    s.dr7 = (s.dr7 & 0xffff23ff) | 0x400;
    if (auto r = check_control(s); !r) return r;
    s.efer = (s.efer & efer::LME) && (s.cr0 & cr0::PG) ? s.efer | efer::LMA : s.efer & ~efer::LMA;
    if (auto r = check_privilege(s); !r) return r;
    if (auto r = check_segments(c); !r) return r;
    if ((s.cr0 & cr0::PG) && (s.cr4 & cr4::PAE) && !s.long_active() && !load_pdptes(s, s.cr3))
        return impossible("cr3 names page-directory pointers with reserved bits");
    update_error_summary(s.fpu);
    s.watching = data_breakpoints(s);
    refresh_mode(s);
    paging_changed(s);
    c.check_events();
    return {};
}

Result<void> change_register(Cpu& c, const Register& r, const RegisterValue& v, bool settles) {
    CpuState& s = c.state();
    s.tracing.repeating = false;
    if (s.debug) s.debug->moved();
    const RegisterValue old = read_register(c, r);
    write_register(c, r, v);
    if (!settles) return {};
    auto settled = settle_registers(c);
    if (settled) return settled;
    write_register(c, r, old);
    (void)settle_registers(c).has_value();
    return settled;
}
}  // namespace calque
