// Repeated and port string instructions (SDM vol. 2: REP, MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS).
//
// Each iteration counts as one instruction. A helper does as many as the budget allows, a page's worth at once where both sides are
// plain memory, and leaves RIP at the instruction when some are left. The block that holds the instruction has paid for the first
// iteration; each further one is charged before it starts, so that time is right at every access and a fault gives back just one.
#include <algorithm>
#include <cstring>

#include "cpu/helpers.h"
#include "cpu/system.h"
#include "support/little_endian.h"

namespace calque {
namespace {

enum Rep : u8 { NoRep, RepEqual, RepNotEqual };

class StringOp {
public:
    StringOp(CpuState& state, u64 what, u64 rip, u64 next)
        : s{state}, size{static_cast<unsigned>(what & 15)}, rep{static_cast<Rep>(what >> 24 & 3)}, source{static_cast<Seg>(what >> 16 & 7)},
          address_size_{static_cast<unsigned>(what >> 8 & 15)}, rip_{rip}, next_{next} {
        mask_ = address_size_ == 8 ? ~u64{0} : address_size_ == 4 ? 0xffffffff : 0xffff;
    }
    ~StringOp();
    StringOp(const StringOp&) = delete;

    CpuState& s;
    const unsigned size;
    const Rep rep;
    const Seg source;

    u64 left() const { return rep ? s.gpr[RCX] & mask_ : !done_; }
    u64 offset(Gpr r) const { return s.gpr[r] & mask_; }
    bool more() const { return left() && (!done_ || (rep && s.x.budget > 0)); }
    bool up() const { return !s.df; }

    /// Elements from register `r` on that lie in one page of plain memory inside the segment; `host` is where the lowest starts.
    /// 0: take the next one by read() or write().
    u64 stretch(Gpr r, Seg seg, bool write, u64 most, u8*& host, bool* code = nullptr);
    u64 affordable() const { return std::min(left(), static_cast<u64>(s.x.budget) + !done_); }
    /// Before `n` iterations start.
    void charge(u64 n) { s.x.budget -= static_cast<i64>(n) - !done_; }
    /// They have happened.
    void advance(u64 n, bool si, bool di);
    bool read(Gpr r, Seg seg, u64& value);
    bool write(Gpr r, u64 value);
    bool probe_write(Gpr r);
    /// After probe_write(), when it is too late to run the instruction again: as a bus master would.
    void write_surely(Gpr r, u64 value);
    /// After the last iteration that was possible now. `stop`: the condition of REPE or REPNE has ended it.
    /// Returns whether the instruction has ended.
    bool finish(bool stop = false);
    /// 32-bit addresses in 64-bit code: Intel clears the upper halves of RCX and of the pointers given, also when there is nothing to do or
    /// the first element faults; Zen, when the first element is done.
    void cut(bool si, bool di);

private:
    void put(u64& reg, u64 v) const { reg = address_size_ == 8 ? v : address_size_ == 4 ? v & 0xffffffff : (reg & ~u64{0xffff}) | (v & 0xffff); }
    u64 linear(Seg seg, u64 off) const {
        if (s.code64()) return seg >= FS ? s.seg[seg].base + off : off;
        return (s.seg[seg].base + off) & 0xffffffff;
    }
    /// What is not canonical gives another fault.
    bool misaligned(u64 lin) const { return (s.x.mode.bits & mode::AlignCheck) && (lin & (size - 1)) && !(s.code64() && !canonical(lin)); }
    bool check(Gpr r, Seg seg, bool write);

    const unsigned address_size_;
    const u64 rip_, next_;
    u64 mask_ = 0, done_ = 0;
    bool over_ = false;
};

// What those see who count a repeated instruction as one.
StringOp::~StringOp() {
    Tracing& t = s.tracing;
    t.repeats += over_ && done_ ? done_ - 1 : done_;
    t.repeating = !over_ && s.x.fault == jit::Fault::none;
    if (over_ && rep && t.stepping) s.cpu->shorten(0);
}

u64 StringOp::stretch(Gpr r, Seg seg, bool write, u64 most, u8*& host, bool* code) {
    const u64 off = offset(r), lin = linear(seg, off);
    const unsigned in_page = lin & 0xfff;
    if (in_page + size > 4096 || misaligned(lin)) return 0;
    u64 n = up() ? (4096 - in_page) / size : in_page / size + 1;
    const u64 to_wrap = up() ? (mask_ - off) / size + (mask_ != ~u64{0} && (mask_ - off) % size == size - 1) : off / size + 1;
    n = std::min({n, to_wrap, most});
    if (n == 0) return 0;
    const u64 low = up() ? off : off - (n - 1) * size;
    if (!s.code64() && !in_segment(s, s.seg[seg], low, static_cast<unsigned>(n * size), write)) return 0;
    host = direct(s, lin, write, code);
    if (!host) return 0;
    if (!up()) host -= (n - 1) * size;
    return n;
}

void StringOp::advance(u64 n, bool si, bool di) {
    const u64 delta = up() ? n * size : u64{0} - n * size;
    if (si) put(s.gpr[RSI], s.gpr[RSI] + delta);
    if (di) put(s.gpr[RDI], s.gpr[RDI] + delta);
    if (rep) put(s.gpr[RCX], s.gpr[RCX] - n);
    done_ += n;
}

bool StringOp::check(Gpr r, Seg seg, bool write) {
    if (!s.code64() && !in_segment(s, s.seg[seg], offset(r), size, write)) return fault(s, seg == SS ? vec::SS : vec::GP, 0);
    return !misaligned(linear(seg, offset(r))) || fault(s, vec::AC, 0);
}

bool StringOp::read(Gpr r, Seg seg, u64& value) {
    u8 b[8]{};
    if (!check(r, seg, false) || !read_linear(s, linear(seg, offset(r)), b, size)) return false;
    value = 0;
    for (unsigned i = 0; i < size; ++i) value |= u64{b[i]} << (8 * i);
    return true;
}

bool StringOp::write(Gpr r, u64 value) {
    u8 b[8];
    for (unsigned i = 0; i < 8; ++i) b[i] = static_cast<u8>(value >> (8 * i));
    return check(r, ES, true) && write_linear(s, linear(ES, offset(r)), b, size);
}

bool StringOp::probe_write(Gpr r) { return check(r, ES, true) && probe_linear(s, linear(ES, offset(r)), size, true); }

void StringOp::write_surely(Gpr r, u64 value) {
    if (write(r, value) || s.x.fault != jit::Fault::alone_code) return;
    s.x.fault = jit::Fault::none;
    for (unsigned i = 0; i < size; ++i) {
        bool code;
        u8* p = direct(s, linear(ES, offset(r) + i), true, &code);
        if (!p) continue;
        *p = static_cast<u8>(value >> (8 * i));
        s.cpu->engine().memory_changed(p, 1);
    }
}

void StringOp::cut(bool si, bool di) {
    if (address_size_ != 4 || s.cpu->zen()) return;
    put(s.gpr[RCX], s.gpr[RCX]);
    if (si) put(s.gpr[RSI], s.gpr[RSI]);
    if (di) put(s.gpr[RDI], s.gpr[RDI]);
}

bool StringOp::finish(bool stop) {
    over_ = !rep || stop || !left();
    s.x.rip = over_ ? next_ : rip_;
    // "If an interrupt arrives after any iteration but the last, RF is set in the saved EFLAGS."
    if (!over_) s.eflags_system |= eflags::RF, s.rf_at = s.x.icount() + s.x.unretired;
    if (s.pending_debug) s.cpu->end_slice();
    return over_;
}

u16 flags_of_sub(u64 a, u64 b, unsigned size) {
    namespace fl = jit::fl;
    const unsigned top = 8 * size - 1;
    const u64 r = a - b;
    u16 f = fl::One;
    if (a < b) f |= fl::CF;
    if ((a ^ b ^ r) & 16) f |= fl::AF;
    if (!(r << (63 - top))) f |= fl::ZF;
    if (r >> top & 1) f |= fl::SF;
    if (((a ^ b) & (a ^ r)) >> top & 1) f |= fl::OF;
    if (!__builtin_parity(static_cast<u8>(r))) f |= fl::PF;
    return f;
}

/// Copies as the processor does, one element after the other, also when the areas overlap.
void copy(u8* to, const u8* from, u64 n, unsigned size, bool up) {
    const u64 bytes = n * size;
    const bool apart = to + bytes <= from || from + bytes <= to;
    if (apart) return void(std::memcpy(to, from, bytes));
    u8 e[8];
    for (u64 i = 0; i < n; ++i) {
        const u64 at = (up ? i : n - 1 - i) * size;
        std::memcpy(e, from + at, size);
        std::memcpy(to + at, e, size);
    }
}

/// One page's worth of REP MOVS. 0: not possible this way; fault set: neither.
u64 move_stretch(StringOp& op) {
    u8 *from, *to;
    bool code = false;
    const u64 most = op.affordable();
    u64 n = op.stretch(RDI, ES, true, most, to, &code);
    if (n) n = op.stretch(RSI, op.source, false, n, from);
    if (!n) return 0;
    // The destination again: with the final count, which moves its start when going down.
    n = op.stretch(RDI, ES, true, n, to, &code);
    if (!n) return 0;
    if (code) {
        const bool apart = to + n * op.size <= from || from + n * op.size <= to;
        if (!apart || !op.s.cpu->engine().about_to_store(to, from, n * op.size)) return op.s.x.fault = jit::Fault::none, 0;
    }
    op.charge(n);
    copy(to, from, n, op.size, op.up());
    return n;
}

u64 fill_stretch(StringOp& op, u64 value) {
    u8* to;
    bool code = false;
    const u64 n = op.stretch(RDI, ES, true, op.affordable(), to, &code);
    if (!n) return 0;
    u8 pattern[4096];
    u8* fill = code ? pattern : to;
    if (op.size == 1) std::memset(fill, static_cast<int>(value & 0xff), n);
    else
        for (u64 i = 0; i < n; ++i) store_little(fill + i * op.size, value, op.size);
    if (code) {
        if (!op.s.cpu->engine().about_to_store(to, pattern, n * op.size)) return op.s.x.fault = jit::Fault::none, 0;
        std::memcpy(to, pattern, n * op.size);
    }
    op.charge(n);
    return n;
}

// CMPS and SCAS: when a fault or interrupt comes between two iterations, the flags are those of the last comparison on Zen and those from
// before the instruction on Intel (SDM vol. 2B, "REP/REPE/REPZ/REPNE/REPNZ").

/// Has the condition of REPE/REPNE ended the loop after a comparison?
bool ends(Rep rep, u64 a, u64 b) { return (rep == RepEqual && a != b) || (rep == RepNotEqual && a == b); }
}  // namespace

u64 helper_rep_movs(CpuState& s, u64 what, u64 rip, u64 next) {
    StringOp op{s, what, rip, next};
    op.cut(true, true);
    while (op.more()) {
        if (const u64 n = move_stretch(op)) {
            op.advance(n, true, true);
            continue;
        }
        u64 v;
        op.charge(1);
        if (!op.read(RSI, op.source, v) || !op.write(RDI, v)) return 0;
        op.advance(1, true, true);
    }
    return op.finish(), 0;
}

u64 helper_rep_stos(CpuState& s, u64 what, u64 rip, u64 next) {
    StringOp op{s, what, rip, next};
    op.cut(false, true);
    while (op.more()) {
        if (const u64 n = fill_stretch(op, s.gpr[RAX])) {
            op.advance(n, false, true);
            continue;
        }
        op.charge(1);
        if (!op.write(RDI, s.gpr[RAX])) return 0;
        op.advance(1, false, true);
    }
    return op.finish(), 0;
}

u64 helper_rep_lods(CpuState& s, u64 what, u64 rip, u64 next) {
    StringOp op{s, what, rip, next};
    op.cut(false, false);
    while (op.more()) {
        u8* from;
        u64 v, n = op.stretch(RSI, op.source, false, op.affordable(), from);
        op.charge(n ? n : 1);
        if (n) v = load_little(from + (op.up() ? (n - 1) * op.size : 0), op.size);
        else if (!op.read(RSI, op.source, v)) return 0;
        u64& a = s.gpr[RAX];
        a = op.size == 8 ? v : op.size == 4 ? v : op.size == 2 ? (a & ~u64{0xffff}) | v : (a & ~u64{0xff}) | v;
        op.advance(n ? n : 1, true, false);
    }
    return op.finish(), 0;
}

u64 helper_rep_cmps(CpuState& s, u64 what, u64 rip, u64 next) {
    StringOp op{s, what, rip, next};
    op.cut(false, false);
    bool stop = false;
    u64 a = 0, b = 0;
    u16 flags = s.flags;
    while (!stop && op.more()) {
        u8 *x, *y;
        u64 n = op.stretch(RSI, op.source, false, op.affordable(), x);
        if (n) n = op.stretch(RDI, ES, false, n, y);
        if (n) n = op.stretch(RSI, op.source, false, n, x);
        u64 done = 0;
        if (n) {
            while (done < n && !stop) {
                const u64 at = (op.up() ? done : n - 1 - done) * op.size;
                a = load_little(x + at, op.size), b = load_little(y + at, op.size);
                stop = ends(op.rep, a, b);
                ++done;
            }
            op.charge(done);
        } else {
            op.charge(1);
            // When both fault, the second operand's is reported, as in the unrepeated form; on Zen the first's for REPE CMPSB.
            if (s.cpu->zen() && op.size == 1 && op.rep == RepEqual && !op.read(RSI, op.source, a)) return 0;
            if (!op.read(RDI, ES, b) || !op.read(RSI, op.source, a)) return 0;
            stop = ends(op.rep, a, b);
            done = 1;
        }
        flags = flags_of_sub(a, b, op.size);
        if (s.cpu->zen()) s.flags = flags;
        op.advance(done, true, true);
    }
    if (op.finish(stop)) s.flags = flags;
    return 0;
}

u64 helper_rep_scas(CpuState& s, u64 what, u64 rip, u64 next) {
    StringOp op{s, what, rip, next};
    op.cut(false, false);
    const u64 a = op.size == 8 ? s.gpr[RAX] : s.gpr[RAX] & ((u64{1} << (8 * op.size)) - 1);
    bool stop = false;
    u64 b = 0;
    u16 flags = s.flags;
    while (!stop && op.more()) {
        u8* y;
        const u64 n = op.stretch(RDI, ES, false, op.affordable(), y);
        u64 done = 0;
        if (n) {
            while (done < n && !stop) {
                b = load_little(y + (op.up() ? done : n - 1 - done) * op.size, op.size);
                stop = ends(op.rep, a, b);
                ++done;
            }
            op.charge(done);
        } else {
            op.charge(1);
            if (!op.read(RDI, ES, b)) return 0;
            stop = ends(op.rep, a, b);
            done = 1;
        }
        flags = flags_of_sub(a, b, op.size);
        if (s.cpu->zen()) s.flags = flags;
        op.advance(done, false, true);
    }
    if (op.finish(stop)) s.flags = flags;
    return 0;
}

u64 helper_ins(CpuState& s, u64 what, u64 rip, u64 next) {
    StringOp op{s, what, rip, next};
    const u16 port = static_cast<u16>(s.gpr[RDX]);
    // The right to the port is checked even when nothing is left to do, as on AMD's Zen.
    if (!op.left() && !io_allowed(s, port, op.size)) return 0;
    while (op.more()) {
        op.charge(1);
        // Everything that may fault comes before the device is read.
        if (!port_ready(s, port, op.size, false) || !op.probe_write(RDI)) return 0;
        op.write_surely(RDI, port_in(s, port, op.size));
        op.advance(1, false, true);
    }
    return op.finish(), 0;
}

u64 helper_outs(CpuState& s, u64 what, u64 rip, u64 next) {
    StringOp op{s, what, rip, next};
    const u16 port = static_cast<u16>(s.gpr[RDX]);
    // The right to the port is checked even when nothing is left to do, as on AMD's Zen.
    if (!op.left() && !io_allowed(s, port, op.size)) return 0;
    while (op.more()) {
        u64 v;
        op.charge(1);
        if (!io_allowed(s, port, op.size) || !op.read(RSI, op.source, v) || !port_ready(s, port, op.size, true, static_cast<u32>(v))) return 0;
        port_out(s, port, static_cast<u32>(v), op.size);
        op.advance(1, true, false);
    }
    return op.finish(), 0;
}
}  // namespace calque
