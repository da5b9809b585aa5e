// The legacy region that FXSAVE and the XSAVE family share (SDM vol. 1, "FXSAVE Area", "Legacy Region of an XSAVE Area").
#pragma once
#include "cpu/state.h"

namespace calque {

/// Little-endian fields of a memory image.
struct Image {
    u8* at;
    void put(unsigned offset, u64 v, unsigned size) const {
        for (unsigned i = 0; i < size; ++i) at[offset + i] = static_cast<u8>(v >> (8 * i));
    }
    u64 get(unsigned offset, unsigned size) const {
        u64 v = 0;
        for (unsigned i = 0; i < size; ++i) v |= u64{at[offset + i]} << (8 * i);
        return v;
    }
    void put(unsigned offset, const jit::V128& v) const { put(offset, v.lo, 8), put(offset + 8, v.hi, 8); }
    jit::V128 vec(unsigned offset) const { return {get(offset, 8), get(offset + 8, 8)}; }
};

constexpr unsigned kLegacyBytes = 512, kXmmArea = 160;
constexpr u32 kMxcsrMask = 0xffff;

/// Of XMM and YMM registers: outside of 64-bit code the upper eight are neither saved nor changed.
inline unsigned vector_registers(const CpuState& s) { return s.code64() ? 16 : 8; }

/// Bytes 0..23 and the registers; `rex_w`: 64-bit pointers.
void write_x87(const CpuState&, bool rex_w, Image);
void read_x87(CpuState&, bool rex_w, Image);
void write_xmm(const CpuState&, Image);
void read_xmm(CpuState&, Image);
void write_mxcsr(const CpuState&, Image);
void set_mxcsr(CpuState&, u32);
}  // namespace calque
