#include "tests/silicon/fx.h"

#include <cstring>

namespace calque::silicon {

void load_fx(CpuState& s, const FxState& f) {
    const unsigned top = f.fsw >> 11 & 7;
    s.fpu.cw = f.fcw;
    s.fpu.sw = f.fsw & 0xc7ff;
    s.fpu.top_tags = top | u32{f.ftw} << 8;
    s.fpu.opcode = f.fop;
    s.fpu.ip = f.fip, s.fpu.dp = f.fdp, s.fpu.ip_sel = s.fpu.dp_sel = 0;
    for (unsigned i = 0; i < 8; ++i) {
        auto& r = s.fpu.reg[(top + i) & 7];
        r.sig = f.st[i].sig;
        r.se = static_cast<u16>(f.st[i].se);
    }
    s.mxcsr = f.mxcsr;
    for (unsigned i = 0; i < 16; ++i) s.xmm[i] = f.xmm[i], s.ymm_high[i] = f.high[i];
}

void store_fx(const CpuState& s, FxState& f) {
    f = FxState{};
    const unsigned top = s.fpu.top_tags & 7;
    f.fcw = s.fpu.cw;
    f.fsw = static_cast<u16>((s.fpu.sw & 0xc7ff) | top << 11);
    f.ftw = static_cast<u8>(s.fpu.top_tags >> 8);
    f.fop = s.fpu.opcode;
    f.fip = (s.fpu.ip & 0xffffffff) | u64{s.fpu.ip_sel} << 32;
    f.fdp = (s.fpu.dp & 0xffffffff) | u64{s.fpu.dp_sel} << 32;
    for (unsigned i = 0; i < 8; ++i) {
        const auto& r = s.fpu.reg[(top + i) & 7];
        f.st[i].sig = r.sig;
        f.st[i].se = r.se;
    }
    f.mxcsr = s.mxcsr;
    for (unsigned i = 0; i < 16; ++i) f.xmm[i] = s.xmm[i], f.high[i] = s.ymm_high[i];
}
}  // namespace calque::silicon
