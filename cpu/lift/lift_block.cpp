#include "cpu/lift/lift_block.h"

#include <algorithm>

#include "cpu/lift/lifter.h"

namespace calque {
namespace {

using jit::Block;
using jit::Cmp;
using jit::Type;

void begin(Block& out, u64 rip, jit::Mode m) {
    out.rip = out.end_rip = rip;
    out.mode = m;
    out.insn_count = out.byte_count = 0;
    out.code.clear();
}

void count(Block& out, const Insn& in) {
    ++out.insn_count;
    out.byte_count = static_cast<u16>(out.byte_count + in.length);
    out.end_rip = in.next;
}

/// Bytes beyond CS's limit are #GP(0) at the instruction they belong to (SDM vol. 3A, "Limit Checking"). One comparison serves
/// the block; when it fails, code_limit tries the instructions one by one. The constants are known only at the end.
struct LimitCheck {
    jit::Ref last = 0, single = 0;

    void emit(Lifter& l) {
        if (l.code64() || l.has(mode::FlatCs)) return;
        const Val at = l.ir.late_constant(Type::I64), one = l.ir.late_constant(Type::I64);
        const Val past = l.ir.icmp(Cmp::uge, at, l.ir.get(slot::code_end, Type::I64));
        l.ir.call_if(past, static_cast<u16>(Helper::code_limit), at, one);
        last = at.ref, single = one.ref;
    }
    void finish(Block& b) const {
        if (!last) return;
        b.code[last].imm = static_cast<u32>(b.rip) + u64{b.byte_count} - 1;
        b.code[single].imm = b.insn_count == 1;
    }
};

/// The block depends on all bytes that made the instruction a wrong one.
void lift_fault(Block& out, u64 rip, Decode why, Insn& in, jit::Mode m, const IsaSet& features) {
    if (why == Decode::too_long) in.length = 15;
    in.next = rip + in.length;
    Lifter l{out, m, features};
    LimitCheck limit;
    l.ir.insn(rip, in.length);
    limit.emit(l);
    if (why == Decode::too_long) l.raise(13, 0);
    else l.raise(6);
    count(out, in);
    limit.finish(out);
}
}  // namespace

void lift_block(const jit::LiftRequest& r, const IsaSet& features, Block& out) {
    begin(out, r.rip, r.mode);
    Lifter l{out, r.mode, features};
    LimitCheck limit;
    u32 at = r.offset;
    u64 rip = r.rip;
    Insn in;
    while (out.insn_count < r.max_insns && at < 4096 && out.code.size() < jit::kMaxInsts - 200) {
        if (out.insn_count && r.stops && r.stops->test(at)) break;
        const Decode d = decode(r.page + at, std::min<size_t>(15, 4096 - at), rip, r.mode, features, in);
        if (d != Decode::ok) {
            if (out.insn_count == 0 && d != Decode::more) return begin(out, r.rip, r.mode), lift_fault(out, rip, d, in, r.mode, features);
            break;
        }
        l.mark(in);
        if (out.insn_count == 0) limit.emit(l);
        l.apply(in);
        count(out, in);
        if (l.ir.ended()) return limit.finish(out);
        if (r.cuts && r.cuts->test(at)) break;
        at += in.length, rip = in.next;
    }
    if (out.insn_count == 0) return;
    l.ir.jump(out.end_rip);
    limit.finish(out);
}

bool lift_one(const u8* bytes, size_t size, u64 rip, jit::Mode m, const IsaSet& features, Block& out) {
    begin(out, rip, m);
    Insn in;
    const Decode d = decode(bytes, size, rip, m, features, in);
    if (d == Decode::more) return false;
    if (d != Decode::ok) return lift_fault(out, rip, d, in, m, features), true;
    Lifter l{out, m, features};
    LimitCheck limit;
    l.mark(in);
    limit.emit(l);
    l.apply(in);
    count(out, in);
    if (!l.ir.ended()) l.ir.jump(out.end_rip);
    limit.finish(out);
    return true;
}
}  // namespace calque
