// Choices where the datasheet leaves room:
// * A divisor of 0 counts as 65536. Transmission takes the time the divisor says, in machine time; what arrives is
//   taken at once, as far as there is room, so that an unhurried host loses nothing.
// * A character written to a full transmitter is lost. In loopback one that finds the receiver full is an overrun.
// * In loopback OUT2 is inactive at its pin, so the PC's interrupt gate is closed.
#include "devices/serial/uart16550.h"

#include <algorithm>

#include "support/state_io.h"

namespace calque {
namespace {
constexpr u8 kIerData = 1, kIerThre = 2, kIerLine = 4, kIerModem = 8;
constexpr u8 kDr = 0x01, kOverrun = 0x02, kFraming = 0x08, kBreak = 0x10, kThre = 0x20, kTemt = 0x40, kFifoError = 0x80;
constexpr u8 kIirNone = 1, kIirLine = 6, kIirData = 4, kIirTimeout = 12, kIirThre = 2, kIirModem = 0;
constexpr u8 kDlab = 0x80, kSendBreak = 0x40;
constexpr u8 kOut2 = 0x08;
}  // namespace

u8 Uart16550::Fifo::pop() {
    const u8 c = data[head];
    head = static_cast<u8>((head + 1) % kFifo), --count;
    return c;
}

bool Uart16550::Fifo::any_flags() const {
    for (unsigned i = 0; i < count; ++i)
        if (flags[(head + i) % kFifo]) return true;
    return false;
}

Uart16550::Uart16550(Clock& clock, Line& irq, CharSink& out)
    : clock_{clock}, irq_{irq}, out_{out}, sent_{clock, [this] { character_sent(); }},
      timeout_{clock, [this] { character_timed_out(); }} {}

unsigned Uart16550::trigger() const {
    constexpr std::array<u8, 4> levels = {1, 4, 8, 14};
    return fifo_on() ? levels[fcr_ >> 6] : 1;
}

Time Uart16550::character_time() const {
    const unsigned word = 5 + (lcr_ & 3), parity = lcr_ >> 3 & 1;
    // In half bits: two stop bits, or one and a half with five data bits.
    const unsigned stop = !(lcr_ & 4) ? 2 : word == 5 ? 3 : 4;
    const u64 half_bits = 2 * (1 + word + parity) + stop;
    return std::min(longest_character_, mul_div(half_bits * 8 * (divisor_ ? divisor_ : 65536u), kSecond, kCrystalHz));
}

// Receiver

unsigned Uart16550::receive_space() const { return loopback() ? 0 : depth() - std::min<unsigned>(depth(), rx_.count); }

bool Uart16550::receive(u8 c) {
    if (receive_space() == 0) return false;
    put_received(c, 0);
    return true;
}

bool Uart16550::receive_break() {
    if (receive_space() == 0) return false;
    put_received(0, kBreak | kFraming);
    return true;
}

void Uart16550::put_received(u8 c, u8 flags) {
    c &= static_cast<u8>(0xff >> (3 - (lcr_ & 3)));
    if (rx_.count >= depth()) {
        line_status_ |= kOverrun;
        if (!fifo_on()) rx_.clear(), rx_.push(c, flags);  // the register is overwritten, the FIFO keeps what it has
    } else {
        rx_.push(c, flags);
        if (rx_.count == 1) received_top();
    }
    if (fifo_on()) timeout_.arm_in(4 * character_time());
    update_irq();
}

/// Errors show when their character reaches the top of the FIFO.
void Uart16550::received_top() {
    if (rx_.count) line_status_ |= rx_.flags[rx_.head];
}

void Uart16550::character_timed_out() {
    timeout_pending_ = rx_.count != 0;
    update_irq();
}

u8 Uart16550::read_data() {
    timeout_pending_ = false;
    if (!rx_.count) return 0;
    const u8 c = rx_.pop();
    received_top();
    if (rx_.count && fifo_on()) timeout_.arm_in(4 * character_time());
    else timeout_.disarm();
    update_irq();
    return c;
}

// Transmitter

void Uart16550::write_data(u8 c) {
    thre_pending_ = false;
    if (tx_.count < depth()) tx_.push(c, 0);
    if (!shifting_) load_shifter();
    update_irq();
}

void Uart16550::load_shifter() {
    if (!tx_.count) return;
    shifter_ = tx_.pop();
    shifting_ = true;
    if (!tx_.count) thre_pending_ = true;
    sent_.arm_in(character_time());
}

void Uart16550::character_sent() {
    const u8 c = shifter_ & static_cast<u8>(0xff >> (3 - (lcr_ & 3)));
    shifting_ = false;
    load_shifter();
    if (loopback()) put_received(c, 0);
    else if (!(lcr_ & kSendBreak)) out_.put(c);
    update_irq();
}

// Interrupts and modem lines

u8 Uart16550::interrupt_id() const {
    if ((ier_ & kIerLine) && line_status_) return kIirLine;
    if ((ier_ & kIerData) && rx_.count >= trigger()) return kIirData;
    if ((ier_ & kIerData) && timeout_pending_) return kIirTimeout;
    if ((ier_ & kIerThre) && thre_pending_) return kIirThre;
    if ((ier_ & kIerModem) && (msr_ & 0x0f)) return kIirModem;
    return kIirNone;
}

void Uart16550::update_irq() { irq_.set(interrupt_id() != kIirNone && (mcr_ & kOut2) && !loopback()); }

u8 Uart16550::modem_status() const {
    if (!loopback()) return modem_;
    // "Loop": DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD.
    return static_cast<u8>((mcr_ & 2) << 3 | (mcr_ & 1) << 5 | (mcr_ & 4) << 4 | (mcr_ & 8) << 4);
}

void Uart16550::update_modem() {
    const u8 now = modem_status(), changed = (now ^ msr_) & 0xf0;
    u8 deltas = (changed >> 4) & 0x0b;
    if ((changed & 0x40) && !(now & 0x40)) deltas |= 0x04;  // RI counts at its trailing edge
    msr_ = static_cast<u8>(now | (msr_ & 0x0f) | deltas);
    update_irq();
}

void Uart16550::set_modem_lines(bool cts, bool dsr, bool ri, bool dcd) {
    modem_ = static_cast<u8>(cts << 4 | dsr << 5 | ri << 6 | dcd << 7);
    update_modem();
}

// Registers

u8 Uart16550::read_iir() {
    const u8 id = interrupt_id();
    if (id == kIirThre) thre_pending_ = false, update_irq();
    return static_cast<u8>(id | (fifo_on() ? 0xc0 : 0));
}

u8 Uart16550::read_lsr() {
    u8 v = line_status_;
    if (rx_.count) v |= kDr;
    if (!tx_.count) v |= kThre;
    if (!tx_.count && !shifting_) v |= kTemt;
    if (fifo_on() && rx_.any_flags()) v |= kFifoError;
    line_status_ = 0;
    if (rx_.count) rx_.flags[rx_.head] = 0;
    update_irq();
    return v;
}

u8 Uart16550::read_msr() {
    const u8 v = msr_;
    msr_ &= 0xf0;
    update_irq();
    return v;
}

void Uart16550::write_ier(u8 value) {
    const bool thre_on = (value & kIerThre) && !(ier_ & kIerThre);
    ier_ = value & 0x0f;
    if (thre_on && !tx_.count) thre_pending_ = true;  // enabling it with an empty holding register interrupts at once
    update_irq();
}

void Uart16550::write_fcr(u8 value) {
    const bool switched = (value ^ fcr_) & 1;
    fcr_ = value & 1 ? value & 0xc9 : 0;  // the other bits count only together with bit 0
    if (switched || (value & 3) == 3) {
        rx_.clear();
        timeout_pending_ = false;
        timeout_.disarm();
    }
    if ((switched || (value & 5) == 5) && tx_.count) tx_.clear(), thre_pending_ = true;
    update_irq();
}

void Uart16550::write_lcr(u8 value) {
    const bool break_starts = (value & kSendBreak) && !(lcr_ & kSendBreak);
    lcr_ = value;
    if (break_starts && loopback()) put_received(0, kBreak | kFraming);
}

u8 Uart16550::read(u16 reg) {
    const bool dlab = lcr_ & kDlab;
    switch (reg & 7) {
    case 0: return dlab ? static_cast<u8>(divisor_) : read_data();
    case 1: return dlab ? static_cast<u8>(divisor_ >> 8) : ier_;
    case 2: return read_iir();
    case 3: return lcr_;
    case 4: return mcr_;
    case 5: return read_lsr();
    case 6: return read_msr();
    default: return scr_;
    }
}

void Uart16550::write(u16 reg, u8 value) {
    const bool dlab = lcr_ & kDlab;
    switch (reg & 7) {
    case 0:
        if (dlab) divisor_ = static_cast<u16>((divisor_ & 0xff00) | value);
        else write_data(value);
        break;
    case 1:
        if (dlab) divisor_ = static_cast<u16>((divisor_ & 0x00ff) | value << 8);
        else write_ier(value);
        break;
    case 2: write_fcr(value); break;
    case 3: write_lcr(value); break;
    case 4:
        mcr_ = value & 0x1f;
        update_modem();
        break;
    case 7: scr_ = value; break;
    default: break;  // LSR and MSR: writing is for factory tests
    }
}

void Uart16550::reset() {  // "Table I. UART Reset Configuration"; divisor and scratch register keep their values
    ier_ = fcr_ = lcr_ = mcr_ = line_status_ = 0;
    rx_.clear(), tx_.clear();
    shifting_ = thre_pending_ = timeout_pending_ = false;
    sent_.disarm(), timeout_.disarm();
    msr_ = modem_;
    update_irq();
}

void Uart16550::Fifo::state(StateIO& s) {
    s(data, flags, head, count);
    if (!s.loading()) return;
    head %= kFifo;
    count = std::min<u8>(count, kFifo);
    for (u8& f : flags) f &= kBreak | kFraming;
}

void Uart16550::state(StateIO& s) {
    s.version(1);
    s(ier_, fcr_, lcr_, mcr_, scr_, line_status_, modem_, msr_, divisor_, rx_, tx_, shifter_, shifting_);
    s(thre_pending_, timeout_pending_, sent_, timeout_);
    if (!s.loading()) return;
    ier_ &= 0x0f, mcr_ &= 0x1f, line_status_ &= 0x1e;
    if (shifting_ && !sent_.armed()) sent_.arm_in(character_time());
    if (!shifting_) sent_.disarm();
    update_irq();
}
}  // namespace calque
