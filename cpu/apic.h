// The local APIC with x2APIC mode (SDM vol. 3A, chapter "Advanced Programmable Interrupt Controller"), of the only processor.
#pragma once
#include <array>

#include "cpu/cpu.h"
#include "support/apic_bus.h"
#include "support/clock.h"

namespace calque {

class LocalApic {
public:
    explicit LocalApic(Cpu&);

    void reset();
    void init();            // INIT keeps the base address and the APIC ID
    void state(StateIO&);
    /// What firmware leaves behind: software-enabled, LINT0 passes the 8259A's INTR, LINT1 is NMI. For kernels started without firmware.
    void virtual_wire();

    // ---- registers
    u64 mmio_read(unsigned offset, unsigned size);
    void mmio_write(unsigned offset, u64 value, unsigned size);
    bool read_msr(u32 msr, u64& value);    // 800h to 83Fh; false: #GP
    bool write_msr(u32 msr, u64 value);
    bool write_base(u64 value);            // IA32_APIC_BASE; false: #GP
    u8 cr8() const { return tpr_ >> 4; }
    void set_cr8(u8 v) { tpr_ = static_cast<u8>(v << 4), update(); }
    u64 tsc_deadline();
    void set_tsc_deadline(u64 value);
    void tsc_moved();                      // the time stamp counter has been written

    // ---- interrupts
    void message(u8 dest, bool logical, ApicDelivery mode, u8 vector, bool level);
    void lint(unsigned n, bool level);     // the pins: LINT0 is INTR, LINT1 is NMI
    bool has_vector() const { return ready_; }
    bool has_ext_int() const { return ext_int_; }
    bool take_vector(u8& vector);
    void take_ext_int() { ext_int_ = false; }
    /// Does the level of LINT0 reach the processor as INTR?
    bool passes_intr() const { return !global_enabled() || ext_lint0(); }

private:
    enum Lvt { TimerLvt, Thermal, Perf, Lint0, Lint1, Error, kLvts };
    using Bits = std::array<u32, 8>;

    bool global_enabled() const;
    bool x2() const;
    bool software_enabled() const { return svr_ & 0x100; }
    bool ext_lint0() const { return !(lvt_[Lint0] & 0x10000) && (lvt_[Lint0] >> 8 & 7) == 7; }
    bool tsc_mode() const { return (lvt_[TimerLvt] >> 17 & 3) == 2; }

    u32 read(unsigned reg);
    void write(unsigned reg, u32 value);
    void write_svr(u32 value);
    void write_lvt(unsigned n, u32 value);
    void send(u32 icr, u32 dest);
    void eoi();
    u8 ppr() const;
    void accept(u8 vector, bool level);
    void error(u32 bits);
    void local_event(unsigned lvt);
    void sample_lint0();
    bool addressed(u8 dest, bool logical) const;
    bool addressed_x2(u32 dest, bool logical) const;
    void arrive(ApicDelivery mode, u8 vector, bool level);
    void update();

    unsigned divide_shift() const;
    u32 current_count() const;
    void start_timer();
    void arm_timer();
    void expire_unseen();
    void timer_fired();

    Cpu& cpu_;
    Timer timer_;
    u8 id_ = 0, tpr_ = 0;
    u32 ldr_ = 0, dfr_ = 0xffffffff, svr_ = 0xff, esr_ = 0, esr_pending_ = 0, icr_low_ = 0, icr_high_ = 0;
    std::array<u32, kLvts> lvt_{};
    Bits isr_{}, tmr_{}, irr_{};
    u32 initial_ = 0, divide_ = 0;
    Time started_ = 0;      // when the counter held initial_
    u64 deadline_ = 0;      // IA32_TSC_DEADLINE
    bool ext_int_ = false, ready_ = false;
    std::array<bool, 2> pins_{};
};
}  // namespace calque
