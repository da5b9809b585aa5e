// Registers and interrupt acceptance of the local APIC.
//
// Choices: APR and RRD read as 0 (no arbitration with one processor). Delivery status is always idle: messages arrive at once.
// An access that is not an aligned 32-bit one is done on the bytes it names when reading and on the whole register when writing.
#include "cpu/apic.h"

#include <algorithm>
#include <bit>

#include "cpu/model.h"
#include "cpu/state.h"
#include "cpu/system.h"
#include "support/log.h"
#include "support/state_io.h"

namespace calque {

static Log log{"apic"};

namespace {
constexpr u32 Masked = 0x10000, Level = 0x8000, RemoteIrr = 0x4000;
constexpr u32 Version = 0x50014;   // version 14h, six LVT entries
// Error status register.
constexpr u32 SendIllegal = 0x20, ReceiveIllegal = 0x40, IllegalRegister = 0x80;
constexpr u64 BaseEnable = 0x800, BaseX2 = 0x400, BaseBsp = 0x100;

int highest(const std::array<u32, 8>& b) {
    for (int i = 7; i >= 0; --i)
        if (b[static_cast<size_t>(i)]) return i * 32 + 31 - std::countl_zero(b[static_cast<size_t>(i)]);
    return -1;
}
bool get(const std::array<u32, 8>& b, u8 v) { return b[v / 32] >> (v & 31) & 1; }
void put(std::array<u32, 8>& b, u8 v, bool on) {
    const u32 m = 1u << (v & 31);
    b[v / 32] = on ? b[v / 32] | m : b[v / 32] & ~m;
}
}  // namespace

LocalApic::LocalApic(Cpu& cpu) : cpu_{cpu}, timer_{cpu.clock(), [this] { timer_fired(); }} {}

bool LocalApic::global_enabled() const { return cpu_.state().apic_base & BaseEnable; }
bool LocalApic::x2() const { return (cpu_.state().apic_base & (BaseEnable | BaseX2)) == (BaseEnable | BaseX2); }

void LocalApic::reset() {
    id_ = 0;
    init();
}

void LocalApic::init() {
    tpr_ = 0;
    ldr_ = 0, dfr_ = 0xffffffff, svr_ = 0xff;
    esr_ = esr_pending_ = icr_low_ = icr_high_ = 0;
    lvt_.fill(Masked);
    isr_ = tmr_ = irr_ = {};
    initial_ = divide_ = 0;
    started_ = 0, deadline_ = 0;
    ext_int_ = false;
    timer_.disarm();
    update();
}

void LocalApic::virtual_wire() {
    write_svr(0x10f);
    lvt_[Lint0] = 0x700;
    lvt_[Lint1] = 0x400;
    update();
}

void LocalApic::state(StateIO& s) {
    s.version(1);
    s(id_, tpr_, ldr_, dfr_, svr_, esr_, esr_pending_, icr_low_, icr_high_, lvt_, isr_, tmr_, irr_, initial_, divide_, started_, deadline_, ext_int_, pins_);
    timer_.state(s);
    if (s.loading()) update();
}

// ---- priorities and acceptance

u8 LocalApic::ppr() const {
    const int isr = highest(isr_);
    const u8 in_service = isr < 0 ? 0 : static_cast<u8>(isr & 0xf0);
    return (tpr_ & 0xf0) >= in_service ? tpr_ : in_service;
}

void LocalApic::update() {
    const int irr = highest(irr_);
    ready_ = global_enabled() && software_enabled() && irr >= 0 && (irr & 0xf0) > (ppr() & 0xf0);
    cpu_.apic_changed();
}

bool LocalApic::take_vector(u8& vector) {
    if (!ready_) return false;
    vector = static_cast<u8>(highest(irr_));
    put(irr_, vector, false);
    put(isr_, vector, true);
    update();
    return true;
}

void LocalApic::accept(u8 vector, bool level) {
    if (vector < 16) return error(ReceiveIllegal);
    put(irr_, vector, true);
    put(tmr_, vector, level);
    update();
}

void LocalApic::eoi() {
    const int v = highest(isr_);
    if (v < 0) return;
    const u8 vector = static_cast<u8>(v);
    put(isr_, vector, false);
    if (get(tmr_, vector)) {
        if (cpu_.wiring().eoi) cpu_.wiring().eoi->eoi(vector);
        if ((lvt_[Lint0] & RemoteIrr) && (lvt_[Lint0] & 0xff) == vector) lvt_[Lint0] &= ~RemoteIrr, sample_lint0();
    }
    update();
}

void LocalApic::error(u32 bits) {
    esr_pending_ |= bits;
    if (!(lvt_[Error] & Masked) && (lvt_[Error] & 0xff) >= 16) accept(static_cast<u8>(lvt_[Error]), false);
}

bool LocalApic::addressed(u8 dest, bool logical) const {
    if (!logical) return dest == 0xff || dest == id_;
    if (dest == 0xff) return true;
    if (x2()) return dest & 1;
    const u8 mine = static_cast<u8>(ldr_ >> 24);
    if (dfr_ >> 28 == 0xf) return dest & mine;
    return (dest & 0xf0) == (mine & 0xf0) && (dest & mine & 0xf);
}

/// "Logical Destination Mode in x2APIC Mode": 16 bits of cluster, 16 of members.
bool LocalApic::addressed_x2(u32 dest, bool logical) const {
    if (dest == 0xffffffff) return true;
    return logical ? dest >> 16 == id_ >> 4 && (dest & 1u << (id_ & 15)) : dest == id_;
}

void LocalApic::message(u8 dest, bool logical, ApicDelivery mode, u8 vector, bool level) {
    if (global_enabled() && addressed(dest, logical)) arrive(mode, vector, level);
}

void LocalApic::arrive(ApicDelivery mode, u8 vector, bool level) {
    switch (mode) {
    case ApicDelivery::fixed:
    case ApicDelivery::lowest_priority:
        if (software_enabled()) accept(vector, level);
        break;
    case ApicDelivery::smi: cpu_.raise_smi(); break;
    case ApicDelivery::nmi: cpu_.raise_nmi(); break;
    case ApicDelivery::init: cpu_.raise_init(); break;
    case ApicDelivery::ext_int:
        ext_int_ = true;
        cpu_.apic_changed();
        break;
    case ApicDelivery::startup: break;   // heeded only while waiting for it, which the bootstrap processor never does
    }
}

/// A local source described by an LVT entry has fired.
void LocalApic::local_event(unsigned n) {
    if (lvt_[n] & Masked) return;
    switch (lvt_[n] >> 8 & 7) {
    case 0: accept(static_cast<u8>(lvt_[n]), false); break;
    case 2: cpu_.raise_smi(); break;
    case 4: cpu_.raise_nmi(); break;
    default: break;
    }
}

/// LINT0 as a level-triggered source: delivered once, and again at its EOI while the pin stays high (SDM, "Local Vector Table",
/// remote IRR). LINT1 knows edges only.
void LocalApic::sample_lint0() {
    const u32 lvt = lvt_[Lint0];
    if (!pins_[0] || (lvt & (Masked | RemoteIrr)) || !(lvt & Level) || (lvt >> 8 & 7) != 0) return;
    lvt_[Lint0] |= RemoteIrr;
    accept(static_cast<u8>(lvt), true);
}

// "If the local APIC is globally disabled, LINT0 and LINT1 are INTR and NMI."
void LocalApic::lint(unsigned n, bool level) {
    const bool rising = level && !pins_[n];
    pins_[n] = level;
    if (!global_enabled()) {
        if (n == 1 && rising) cpu_.raise_nmi();
    } else if (n == 0 && (lvt_[Lint0] & Level) && (lvt_[Lint0] >> 8 & 7) == 0) {
        sample_lint0();
    } else if (rising && !(n == 0 && ext_lint0())) {
        local_event(Lint0 + n);
    }
    cpu_.apic_changed();
}

void LocalApic::send(u32 icr, u32 dest) {
    const unsigned shorthand = icr >> 18 & 3;
    const auto mode = static_cast<ApicDelivery>(icr >> 8 & 7);
    const u8 vector = static_cast<u8>(icr);
    if (mode == ApicDelivery::fixed && vector < 16) return error(SendIllegal);
    if (mode == ApicDelivery::init && !(icr & 0x4000) && (icr & 0x8000)) return;   // INIT level de-assert: synchronises arbitration IDs
    if (shorthand == 3) return;                                                    // all others: there are none
    const bool logical = icr & 0x800;
    const bool mine = shorthand || (x2() ? addressed_x2(dest, logical) : addressed(static_cast<u8>(dest), logical));
    if (mine) arrive(mode, vector, false);
}

// ---- registers

u32 LocalApic::read(unsigned reg) {
    switch (reg) {
    case 0x02: return x2() ? id_ : u32{id_} << 24;
    case 0x03: return Version;
    case 0x08: return tpr_;
    case 0x0a: return ppr();
    case 0x0d: return x2() ? 1u << (id_ & 15) | u32{id_} >> 4 << 16 : ldr_;
    case 0x0e: return dfr_;
    case 0x0f: return svr_;
    case 0x28: return esr_;
    case 0x30: return icr_low_;
    case 0x31: return icr_high_;
    case 0x38: return tsc_mode() ? 0 : initial_;
    case 0x39: return current_count();
    case 0x3e: return divide_;
    default: break;
    }
    if (reg >= 0x10 && reg < 0x18) return isr_[reg - 0x10];
    if (reg >= 0x18 && reg < 0x20) return tmr_[reg - 0x18];
    if (reg >= 0x20 && reg < 0x28) return irr_[reg - 0x20];
    if (reg >= 0x32 && reg < 0x38) return lvt_[reg - 0x32];
    if (reg != 0x09 && reg != 0x0c && reg != 0x0b) error(IllegalRegister);
    return 0;
}

void LocalApic::write_svr(u32 value) {
    svr_ = value & 0x3ff;
    // "When the local APIC is software disabled, mask bits of all LVT entries are set."
    if (!software_enabled())
        for (u32& l : lvt_) l |= Masked;
    arm_timer();
}

void LocalApic::write_lvt(unsigned n, u32 value) {
    static constexpr u32 writable[kLvts] = {0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};
    value &= writable[n];
    if (!software_enabled()) value |= Masked;
    const u32 old = lvt_[n];
    lvt_[n] = value | (n == Lint0 && (value & Level) ? old & RemoteIrr : 0);
    if (n == Lint0) sample_lint0();
    if (n != TimerLvt) return;
    if (((old & ~value) & Masked) && (old >> 17 & 3) == 2) expire_unseen();
    if ((old ^ value) & 0x60000) {
        // Changing between TSC-deadline and the other modes disarms the timer.
        if ((old >> 17 & 3) == 2 || (value >> 17 & 3) == 2) initial_ = 0, deadline_ = 0;
    }
    arm_timer();
}

void LocalApic::write(unsigned reg, u32 value) {
    switch (reg) {
    case 0x02: id_ = static_cast<u8>(value >> 24); break;
    case 0x08: tpr_ = static_cast<u8>(value); break;
    case 0x0b: return eoi();
    case 0x0d: ldr_ = value & 0xff000000; break;
    case 0x0e: dfr_ = value | 0x0fffffff; break;
    case 0x0f: write_svr(value); break;
    case 0x28: esr_ = esr_pending_, esr_pending_ = 0; break;
    case 0x30:
        icr_low_ = value & 0xccfff;
        send(icr_low_, icr_high_ >> 24);
        break;
    case 0x31: icr_high_ = value & 0xff000000; break;
    case 0x32: case 0x33: case 0x34: case 0x35: case 0x36: case 0x37: write_lvt(reg - 0x32, value); break;
    case 0x38:
        if (tsc_mode()) break;
        initial_ = value;
        start_timer();
        break;
    case 0x3e: {
        // The count goes on from where it is, at the new rate.
        const u32 now = current_count();
        divide_ = value & 0xb;
        const u64 ago = u64{initial_ - now} << divide_shift();
        started_ = cpu_.clock().now() - std::min<u64>(ago, cpu_.clock().now());
        arm_timer();
        break;
    }
    default:
        log.debug("write of %08x to register %02x0h", value, reg);
        error(IllegalRegister);
        break;
    }
    update();
}

u64 LocalApic::mmio_read(unsigned offset, unsigned size) {
    if ((offset & 15) >= 4) return 0;
    const u64 v = u64{read(offset >> 4 & 0xff)} >> (8 * (offset & 3));
    return size >= 8 ? v : v & ((u64{1} << (8 * size)) - 1);
}

void LocalApic::mmio_write(unsigned offset, u64 value, unsigned) {
    if ((offset & 15) == 0) write(offset >> 4 & 0xff, static_cast<u32>(value));
}

// ---- x2APIC: "MSR Access in x2APIC Mode"

bool LocalApic::read_msr(u32 msr, u64& value) {
    const unsigned reg = msr & 0xff;
    if (!x2() || reg >= 0x40) return false;
    if (reg == 0x30) return value = icr_low_ | u64{icr_high_} << 32, true;
    const bool known = reg == 0x02 || reg == 0x03 || reg == 0x08 || reg == 0x0a || reg == 0x0d || reg == 0x0f || (reg >= 0x10 && reg <= 0x28) ||
                       (reg >= 0x32 && reg <= 0x39) || reg == 0x3e;
    if (!known) return false;
    value = read(reg);
    return true;
}

bool LocalApic::write_msr(u32 msr, u64 value) {
    const unsigned reg = msr & 0xff;
    if (!x2()) return false;
    if (reg == 0x30) {
        icr_low_ = static_cast<u32>(value) & 0xccfff, icr_high_ = static_cast<u32>(value >> 32);
        send(icr_low_, icr_high_);
        return true;
    }
    if (value >> 32) return false;
    const u32 v = static_cast<u32>(value);
    if (reg == 0x3f) return v < 0x100 ? accept(static_cast<u8>(v), false), true : false;
    if ((reg == 0x0b || reg == 0x28) && v) return false;
    if (reg == 0x08 && v > 0xff) return false;
    const bool writable = reg == 0x08 || reg == 0x0b || reg == 0x0f || reg == 0x28 || (reg >= 0x32 && reg <= 0x38) || reg == 0x3e;
    if (!writable) return false;
    write(reg, v);
    return true;
}

bool LocalApic::write_base(u64 value) {
    u64& base = cpu_.state().apic_base;
    const bool has_x2 = cpu_.has_feature(Isa::x2apic);
    if (value & ~(kPhysMask & ~u64{0xfff}) & ~(BaseEnable | BaseBsp | (has_x2 ? BaseX2 : 0))) return false;
    const u64 from = base & (BaseEnable | BaseX2), to = value & (BaseEnable | BaseX2);
    if (to == BaseX2) return false;
    if (from == 0 && to == (BaseEnable | BaseX2)) return false;
    if (from == (BaseEnable | BaseX2) && to == BaseEnable) return false;
    base = (value & ~BaseBsp) | BaseBsp;
    if (from && !to) init();
    update();
    return true;
}
}  // namespace calque
