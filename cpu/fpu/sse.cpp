#include "cpu/fpu/sse.h"

#include "cpu/cpu.h"
#include "cpu/helpers.h"
#include "cpu/memory.h"
#include "cpu/system.h"
#include "jit/interp/lanes.h"
#include "jit/interp/vec_fp.h"

namespace calque {
namespace {

using jit::V128;
using namespace fp;

/// Sticky flags into MXCSR; #XM when one of them is unmasked. True then.
bool settle(CpuState& s, const FpEnv& env) {
    s.mxcsr |= env.flags;
    if (!env.unmasked()) return false;
    raise(s, s.cr4 & cr4::OSXMMEXCPT ? vec::XM : vec::UD);
    return true;
}
}  // namespace

// Operands lie in pairs of halves in CpuState::vec_arg, and so does a vector result; another is returned.
u64 helper_vec_fp(CpuState& s, u64 a, u64, u64) {
    const FpOp op = FpOp::unpack(a);
    FpEnv env = jit::fp_environment(s.mxcsr);
    const auto half = [&](unsigned n) { return jit::vec_fp(op.op, op.type, op.lane, op.aux, s.vec_arg[n], s.vec_arg[2 + n], s.vec_arg[4 + n], env); };
    const V128 lo = half(0), hi = op.wide ? half(1) : V128{0, 0};
    if (settle(s, env)) return 0;
    s.vec_arg[0] = lo, s.vec_arg[1] = hi;
    return lo.lo;
}

u64 helper_vec_estimate(CpuState& s, u64 a, u64 b, u64 c) {
    auto x = jit::lanes_of<u32>(V128{b, c});
    for (u32& v : x) v = (a ? reciprocal_sqrt_estimate : reciprocal_estimate)({v}).bits;
    s.x.vec = jit::vec_of<u32>(x);
    return 0;
}

namespace {
/// The elements of a masked move. Each is an access of its own: SDM vol. 2, "VMASKMOV", "faults will not occur due to referencing any
/// memory location if the corresponding mask bit is 0".
class MaskedElements {
public:
    MaskedElements(CpuState& s, u64 offset, u64 what) : s_{s}, m_{MaskedMove::unpack(what)}, offset_{offset} {}

    unsigned size() const { return m_.lane_bytes; }
    unsigned count() const { return m_.bytes / m_.lane_bytes; }
    bool taken(unsigned n) const { return bytes_of(2)[n * size() + size() - 1] & 0x80; }
    /// Where element n is in the operand that begins at vec_arg[arg].
    u8* at(unsigned arg, unsigned n) { return bytes_of(arg) + n * size(); }
    /// Its linear address; false with a fault.
    bool place(unsigned n, bool write, u64& linear) {
        // Elements behind the last address are at the first ones.
        const u64 at = (offset_ + n * size()) & ~u64{0} >> (64 - 8 * m_.address_bytes);
        const Segment& seg = s_.seg[m_.seg];
        if (s_.code64()) {
            linear = (m_.seg == FS || m_.seg == GS ? seg.base : 0) + at;
            return true;
        }
        linear = (seg.base + at) & 0xffffffff;
        if (in_segment(s_, seg, at, size(), write)) return true;
        raise(s_, m_.seg == SS ? vec::SS : vec::GP, 0);
        return false;
    }

private:
    u8* bytes_of(unsigned arg) const { return reinterpret_cast<u8*>(&s_.vec_arg[arg]); }
    CpuState& s_;
    MaskedMove m_;
    u64 offset_;
};
}  // namespace

u64 helper_masked_load(CpuState& s, u64 a, u64 b, u64) {
    MaskedElements e{s, a, b};
    s.vec_arg[0] = s.vec_arg[1] = {0, 0};
    u64 from;
    for (unsigned n = 0; n < e.count(); ++n)
        if (e.taken(n) && !(e.place(n, false, from) && read_linear(s, from, e.at(0, n), e.size()))) return 0;
    return 0;
}

u64 helper_masked_store(CpuState& s, u64 a, u64 b, u64) {
    MaskedElements e{s, a, b};
    u64 to;
    for (unsigned n = 0; n < e.count(); ++n)
        if (e.taken(n) && !(e.place(n, true, to) && probe_linear(s, to, e.size(), true))) return 0;
    for (unsigned n = 0; n < e.count(); ++n)
        if (e.taken(n) && e.place(n, true, to) && !write_linear(s, to, e.at(0, n), e.size())) return 0;
    return 0;
}

namespace {
/// Faults do not depend on the mask, as on Intel's and AMD's processors; the manual leaves that to the implementation.
void move_masked(CpuState& s, u64 address, u64 data, u64 mask) {
    for (unsigned i = 0; i < 8; ++i)
        if (mask >> (8 * i + 7) & 1)
            if (!write_linear_value(s, address + i, static_cast<u8>(data >> (8 * i)))) return;
}
}  // namespace

u64 helper_mask_move(CpuState& s, u64 a, u64 b, u64 c) {
    if (probe_linear(s, a, 8, true)) move_masked(s, a, b, c);
    return 0;
}

u64 helper_mask_move16(CpuState& s, u64 a, u64 b, u64 c) {
    const V128 data = s.xmm[c & 15], mask = s.xmm[c >> 8 & 15];
    // Zen checks the lower half first, Intel the upper one.
    const bool zen = s.cpu->zen();
    if (!probe_linear(s, zen ? a : b, 8, true) || !probe_linear(s, zen ? b : a, 8, true)) return 0;
    move_masked(s, a, data.lo, mask.lo);
    if (s.x.fault == jit::Fault::none) move_masked(s, b, data.hi, mask.hi);
    return 0;
}
}  // namespace calque
