#include "cpu/fpu/gather.h"

#include <cstring>

#include "cpu/cpu.h"
#include "cpu/helpers.h"
#include "cpu/memory.h"
#include "cpu/system.h"
#include "support/little_endian.h"

namespace calque {
namespace {

/// A YMM register as elements of 4 or 8 bytes.
class Elements {
public:
    Elements(const CpuState& s, u8 reg) : word_{s.xmm[reg].lo, s.xmm[reg].hi, s.ymm_high[reg].lo, s.ymm_high[reg].hi} {}
    void store(CpuState& s, u8 reg) const { s.xmm[reg] = {word_[0], word_[1]}, s.ymm_high[reg] = {word_[2], word_[3]}; }
    u64 get(unsigned k, unsigned bytes) const { return bytes == 8 ? word_[k] : static_cast<u32>(word_[k / 2] >> 32 * (k & 1)); }
    void set(unsigned k, unsigned bytes, u64 v) {
        if (bytes == 8) {
            word_[k] = v;
            return;
        }
        const unsigned at = 32 * (k & 1);
        word_[k / 2] = (word_[k / 2] & ~(u64{0xffffffff} << at)) | v << at;
    }
    void clear_from(unsigned k, unsigned bytes) {
        for (; k < 32 / bytes; ++k) set(k, bytes, 0);
    }

private:
    u64 word_[4];
};

bool flat(const CpuState& s, Seg seg) {
    const u32 bit = seg == DS ? mode::FlatDs : seg == ES ? mode::FlatEs : seg == SS ? mode::FlatSs : 0;
    return s.x.mode.bits & bit;
}

/// Without check of alignment: "This instruction does not perform AC checks".
bool fetch(CpuState& s, const GatherOp& op, u64 offset, u64& value) {
    u64 at = offset;
    if (s.code64()) {
        if (op.seg >= FS) at += s.seg[op.seg].base;
    } else {
        if (!flat(s, op.seg) && !in_segment(s, s.seg[op.seg], offset, op.bytes, false)) return fault(s, op.seg == SS ? vec::SS : vec::GP, 0);
        at = (s.seg[op.seg].base + offset) & 0xffffffff;
    }
    const unsigned view = s.x.mode.view();
    const jit::TlbEntry& e = s.tlb.data[jit::tlb_table(view, false)][at >> 12 & ((1u << jit::kTlbBits) - 1)];
    if (e.read_tag == (at & ~u64{4095}) && (at & 4095) + op.bytes <= 4096) {
        value = load_little(reinterpret_cast<const u8*>(at + e.addend), op.bytes);
        return true;
    }
    value = slow_read(&s, at, (op.bytes == 8 ? 3u : 2u) | view << 4);
    return s.x.fault == jit::Fault::none;
}
}  // namespace

// Element by element from the lowest. A fault leaves those before it done and their part of the mask zero, so that the instruction goes on
// where it was. By then Intel's mask is all ones and zeros (the first loop of the manual's operation); Zen's is otherwise what it was.
u64 helper_gather(CpuState& s, u64 a, u64 b, u64) {
    const GatherOp op = GatherOp::unpack(b);
    Elements to{s, op.to}, mask{s, op.mask};
    const Elements index{s, op.index};
    const auto wanted = [&](unsigned k) { return mask.get(k, op.bytes) >> (8 * op.bytes - 1) & 1; };
    if (!s.cpu->zen()) {
        mask.clear_from(op.count, op.bytes);
        for (unsigned k = 0; k < op.count; ++k) mask.set(k, op.bytes, wanted(k) ? ~u64{0} >> (64 - 8 * op.bytes) : 0);
    }
    for (unsigned k = 0; k < op.count; ++k) {
        if (!wanted(k)) {
            mask.set(k, op.bytes, 0);
            continue;
        }
        const u64 raw = index.get(k, op.index_bytes), n = op.index_bytes == 8 ? raw : static_cast<u64>(i64{static_cast<i32>(raw)});
        const u64 offset = a + n * op.scale;
        u64 value = 0;
        if (!fetch(s, op, op.address_bytes == 8 ? offset : static_cast<u32>(offset), value)) {
            if (s.x.fault != jit::Fault::raise) return 0;   // the whole instruction runs again
            to.store(s, op.to), mask.store(s, op.mask);
            // "If any traps or interrupts are pending from already gathered elements, they will be delivered in lieu of the exception";
            // and EFLAGS.RF is set, as it is for a fault.
            if (s.pending_debug) {
                raise(s, vec::DB);
                s.exception.address = s.pending_debug;
            }
            return 0;
        }
        to.set(k, op.bytes, value);
        mask.set(k, op.bytes, 0);
    }
    to.clear_from(op.count, op.bytes);
    mask.clear_from(0, op.bytes);
    to.store(s, op.to), mask.store(s, op.mask);
    return 0;
}
}  // namespace calque
