// Gathers (SDM vol. 2, "VGATHERDPS/VGATHERDPD" to "VPGATHERQD/VPGATHERQQ"). The decoder refuses those that name a register twice.
#include <algorithm>

#include "cpu/fpu/gather.h"
#include "cpu/lift/vector.h"

namespace calque {

using namespace vector;

void lift_gather(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    Operand memory = in.op[1];
    const bool wide_index = in.mn == Mn::VGATHERQPS || in.mn == Mn::VGATHERQPD || in.mn == Mn::VPGATHERQD || in.mn == Mn::VPGATHERQQ;
    GatherOp op;
    op.to = in.op[0].reg, op.mask = in.op[2].reg, op.index = static_cast<u8>(memory.index);
    op.seg = memory.seg, op.scale = memory.scale, op.address_bytes = in.addr_size;
    op.bytes = memory.size, op.index_bytes = wide_index ? 8 : 4;
    op.count = in.vex / std::max(op.bytes, op.index_bytes);
    memory.index = -1;
    l.call(Helper::gather, Type::None, l.effective(memory), l.c64(op.pack()));
}
}  // namespace calque
