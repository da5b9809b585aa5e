// One instruction with the state it starts from, and what became of it. The native side and our executors share these.
#pragma once
#include <array>
#include <string>

#include "cpu/decode.h"

namespace calque::silicon {

/// flat32: 32-bit code with flat segments; prot32 and prot16: every segment with a base and a limit.
enum class CodeMode : u8 { long64, flat32, prot32, prot16 };
const char* mode_name(CodeMode);
bool parse_mode(const std::string&, CodeMode&);
inline bool flat(CodeMode m) { return m <= CodeMode::flat32; }

/// Where things are, natively and in our executors alike. All below 2 GiB, so that every addressing form reaches them; and what a case
/// has, in the 16 MB that a reproducer file has, with data memory at their end.
namespace where {
constexpr u64 code = 0x110000;          // two pages of code
constexpr u32 next = 0x1000;              // the instruction ends here, so that it is the last of its page
constexpr u32 pad_after = next + 0x40, pad_before = next - 0x70;  // where branches may land
constexpr u64 data = 0xffe000;          // two writable pages; then one hole, then a page that may only be read
constexpr u32 data_size = 0x2000;
constexpr u64 hole = data + 0x2000, read_only = data + 0x3000;
constexpr u64 gates = 0x44440000;         // of the native side: ways back into 64-bit code
constexpr u64 context = 0x33330000;       // of the native side
}  // namespace where

/// A segment as modify_ldt() describes it. The selectors are the native side's.
struct SegmentSpec {
    u16 selector;
    u32 base, limit;
    bool code, big, writable, expand_down;
};
/// In the order of Seg.
const std::array<SegmentSpec, 6>& segments(CodeMode);

struct Line {
    static constexpr u32 size = 64, count = where::data_size / size;
    u32 index = 0;
    std::array<u8, size> bytes{};
};

/// An FXSAVE image: the wire format for x87, MMX and SSE state.
struct alignas(16) FxState {
    u16 fcw = 0x37f, fsw = 0;
    u8 ftw = 0, pad = 0;
    u16 fop = 0;
    u64 fip = 0, fdp = 0;
    u32 mxcsr = 0x1f80, mxcsr_mask = 0;
    struct Reg { u64 sig; u64 se; } st[8]{};
    jit::V128 xmm[16]{};
    u8 rest[96]{};
    jit::V128 high[16]{};   // behind the image: the upper halves of YMM registers
};
static_assert(sizeof(FxState) == 512 + 256);

struct Case {
    u64 seed = 0;
    CodeMode mode{};
    bool vector = false;   // x87 and SSE state matter
    static constexpr unsigned most = 6;
    unsigned count = 1;    // instructions
    u8 start[most]{};      // their offsets
    Insn in;               // the last one
    u8 bytes[15 * most]{};
    u8 length = 0;
    u64 gpr[16]{};
    u32 end = where::next;   // where in the code pages the bytes end
    u64 code_origin() const { return flat(mode) ? where::code : 0; }
    u64 rip() const { return code_origin() + end - length; }
    u32 flags = 2;
    FxState fx;
    u64 fs_base = 0;       // in 64-bit code
    u32 patches = 0;       // lines of data memory that differ from the base image
    Line patch[6];
};

constexpr u8 kNoFault = 0xff;
struct Outcome {
    u8 vector = kNoFault;
    u32 error = 0;
    u64 cr2 = 0;
    u64 gpr[16]{};
    u64 rip = 0;           // offset in the code segment
    u32 retired = 0;       // instructions; not known of the native side
    u32 flags = 0;         // arithmetic flags and DF
    FxState fx;
    bool trapped = false;  // of the native side: a signal came, for a fault or where a branch had gone
    u32 changed = 0;       // lines that differ from the base image
    Line line[Line::count];
};
constexpr u32 kFlagsCompared = eflags::Arithmetic | eflags::DF;

/// The two pages of code before an instruction is put there: filler bytes, and at the landing places the ways back.
void code_image(CodeMode, u8* code);
constexpr u32 exit_slot(unsigned n) { return static_cast<u32>(where::context + 0x120 + 8 * n); }
constexpr u32 gate(unsigned n) { return static_cast<u32>(where::gates) + 16 * n; }
/// JMP [absolute], 64-bit code.
void put_jump(u8* at, u32 slot);

/// Contents of data memory before each case, but for the case's patches. The same in every process.
struct BaseImage {
    alignas(64) u8 bytes[where::data_size];
    alignas(64) u8 read_only[4096];
    explicit BaseImage(u64 seed);
    void apply(const Case&, u8* memory) const;
    /// Lists the lines that differ and makes them the base's again.
    void collect(u8* memory, Outcome&) const;
};

class Random {
public:
    explicit Random(u64 seed) : s_{seed * 0x9e3779b97f4a7c15 + 0x1234567} { next(), next(); }
    u64 next() {
        s_ ^= s_ << 13, s_ ^= s_ >> 7, s_ ^= s_ << 17;
        return s_ * 0x2545f4914f6cdd1d;
    }
    u32 below(u32 n) { return static_cast<u32>((next() >> 32) * n >> 32); }
    bool chance(u32 percent) { return below(100) < percent; }
    /// Numbers at the corners of every width, and plain random ones.
    u64 value();

private:
    u64 s_;
};
}  // namespace calque::silicon
