// Strings and CRC-32C by SSE4.2, which every host of this back end has.
#include "jit/x64/vec.h"

namespace calque::jit::x64 {
namespace {
/// The host's instruction: `mask` into xmm0, else an index into ecx. It sets EFLAGS as the guest's does.
void compare_strings(X64& e, const Inst& i, bool mask) {
    e.clobber();
    e.take(mask ? xmm0 : rcx);
    const bool lengths = i.aux & 0x80;
    if (lengths) e.take(rax), e.take(rdx);
    const Reg a = e.use(i.a), b = e.use(i.b);
    if (lengths) {
        e.load_to(rax, i.c);
        e.as.mov(x86::edx, x86::eax);
        e.as.shr(x86::edx, Imm(8));
        e.as.movzx(x86::eax, x86::al);
        e.as.movzx(x86::edx, x86::dl);
    }
    const InstId sse = mask ? (lengths ? Inst_::kIdPcmpestrm : Inst_::kIdPcmpistrm) : lengths ? Inst_::kIdPcmpestri : Inst_::kIdPcmpistri;
    const InstId avx = mask ? (lengths ? Inst_::kIdVpcmpestrm : Inst_::kIdVpcmpistrm) : lengths ? Inst_::kIdVpcmpestri : Inst_::kIdVpcmpistri;
    const InstId id = e.avx() ? avx : sse;
    const Imm control(i.aux & 0x7f);
    // The implicit operands are named.
    if (lengths && mask) e.as.emit(id, xmm(a), xmm(b), control, xmm(xmm0), x86::eax, x86::edx);
    else if (lengths) e.as.emit(id, xmm(a), xmm(b), control, x86::ecx, x86::eax, x86::edx);
    else if (mask) e.as.emit(id, xmm(a), xmm(b), control, xmm(xmm0));
    else e.as.emit(id, xmm(a), xmm(b), control, x86::ecx);
}
}  // namespace

void emit_vstr_index(X64& e, const Inst& i) {
    compare_strings(e, i, false);
    e.define(i, rcx, true);
    e.bear_partners(e.index_of(i), FlagKind::exact);
}
void emit_vstr_mask(X64& e, const Inst& i) {
    compare_strings(e, i, true);
    e.define(i, xmm0, true);
    e.bear_partners(e.index_of(i), FlagKind::exact);
}
void emit_vstr_flags(X64& e, const Inst& i) {
    compare_strings(e, i, false);
    e.holds_flags(e.index_of(i), FlagKind::exact);
}

void emit_crc32c(X64& e, const Inst& i) {
    const Ref self = e.index_of(i);
    const unsigned size = e.size_of(i.b);
    const Reg b = e.use(i.b);
    Reg target = e.target_of(self);
    if (target != kNoReg && e.in_reg(i.b, target)) target = kNoReg;
    const Reg d = e.dest_from(self, i.a, target);
    e.as.crc32(gp(d, size == 8 ? 8 : 4), gp(b, size));
    e.define(i, d, true);
}
}  // namespace calque::jit::x64
