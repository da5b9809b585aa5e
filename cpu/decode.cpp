#include "cpu/decode.h"

#include <Zydis/Zydis.h>

#include <array>
#include <cstring>

#include "cpu/opcode_map.h"

namespace calque {
namespace {

struct RuleRow {
    Mn mn;
    Isa isa;
    const char* name;
};
constexpr RuleRow kRows[] = {
    {Mn::invalid, Isa::base, "(invalid)"},
#define RULE(mnemonic, rule, isa) {Mn::mnemonic, Isa::isa, #mnemonic},
#include "cpu/lift/rules.inc"
#undef RULE
};

constexpr const char* kVexNames[] = {
#define VEX(mnemonic) "V" #mnemonic,
#include "cpu/lift/vex.inc"
#undef VEX
};
/// By mnemonic: the place in kVexNames + 1, or 0.
constexpr auto kVexForms = [] {
    std::array<u16, static_cast<size_t>(Mn::count)> t{};
    u16 n = 0;
#define VEX(mnemonic) t[static_cast<size_t>(Mn::mnemonic)] = ++n;
#include "cpu/lift/vex.inc"
#undef VEX
    return t;
}();

/// From Zydis' numbering to ours; invalid where we have no rule.
struct Mnemonics {
    Mn of[ZYDIS_MNEMONIC_MAX_VALUE + 1]{};
    constexpr Mnemonics() {
#define RULE(mnemonic, rule, isa) of[ZYDIS_MNEMONIC_##mnemonic] = Mn::mnemonic;
#include "cpu/lift/rules.inc"
#undef RULE
#define VEX(mnemonic) of[ZYDIS_MNEMONIC_V##mnemonic] = Mn::mnemonic;
#include "cpu/lift/vex.inc"
#undef VEX
    }
};
constexpr Mnemonics kMnemonics;

struct RegisterName {
    Operand::Kind kind = Operand::none;
    u8 reg = 0, size = 0;
};
struct Registers {
    RegisterName of[ZYDIS_REGISTER_MAX_VALUE + 1]{};
    constexpr void run(int first, int count, Operand::Kind kind, u8 size, u8 from = 0) {
        for (int i = 0; i < count; ++i) of[first + i] = {kind, static_cast<u8>(from + i), size};
    }
    constexpr Registers() {
        run(ZYDIS_REGISTER_AL, 4, Operand::gpr, 1);
        run(ZYDIS_REGISTER_AH, 4, Operand::gpr_high, 1);
        run(ZYDIS_REGISTER_SPL, 4, Operand::gpr, 1, RSP);
        run(ZYDIS_REGISTER_R8B, 8, Operand::gpr, 1, R8);
        run(ZYDIS_REGISTER_AX, 16, Operand::gpr, 2);
        run(ZYDIS_REGISTER_EAX, 16, Operand::gpr, 4);
        run(ZYDIS_REGISTER_RAX, 16, Operand::gpr, 8);
        run(ZYDIS_REGISTER_ES, 6, Operand::segment, 2);
        run(ZYDIS_REGISTER_CR0, 16, Operand::control, 8);
        run(ZYDIS_REGISTER_DR0, 16, Operand::debug, 8);
        run(ZYDIS_REGISTER_ST0, 8, Operand::st, 10);
        run(ZYDIS_REGISTER_MM0, 8, Operand::mmx, 8);
        run(ZYDIS_REGISTER_XMM0, 16, Operand::xmm, 16);
        run(ZYDIS_REGISTER_YMM0, 16, Operand::xmm, 32);
        of[ZYDIS_REGISTER_RIP] = {Operand::gpr, 16, 8};
        of[ZYDIS_REGISTER_EIP] = {Operand::gpr, 16, 4};
    }
};
constexpr Registers kRegisters;

/// One decoder for each way the same bytes can be read.
struct Decoders {
    ZydisDecoder real16, legacy16, legacy32, long64;
    Decoders() {
        make(real16, ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16);
        make(legacy16, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
        make(legacy32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
        make(long64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    }
    static void make(ZydisDecoder& d, ZydisMachineMode machine, ZydisStackWidth stack) {
        ZydisDecoderInit(&d, machine, stack);
        // Zydis decodes these whether the CPU has them or not; without them the bytes mean something else.
        for (auto off : {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_CLDEMOTE}) ZydisDecoderEnableMode(&d, off, ZYAN_FALSE);
    }
    ZydisDecoder& pick(jit::Mode m) {
        if (m.bits & mode::Code64) return long64;
        if (m.bits & mode::Code32) return legacy32;
        return (m.bits & mode::Protected) && !(m.bits & mode::Vm86) ? legacy16 : real16;
    }
};

ZydisDecoder decoder_for(jit::Mode m, const IsaSet& features) {
    static Decoders decoders;  // tables only, the same for every machine
    ZydisDecoder d = decoders.pick(m);
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_LZCNT, features.has(Isa::lzcnt));
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_TZCNT, features.has(Isa::bmi1));
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_AMD_BRANCHES, features.has(Isa::zen));   // a 66h prefix makes them 16-bit ones in 64-bit code, too
    return d;
}

void set_memory(const ZydisDecodedInstruction& zi, const ZydisDecodedOperand& zo, const u8* bytes, Operand& o) {
    const bool code64 = zi.machine_mode == ZYDIS_MACHINE_MODE_LONG_64;
    o.kind = Operand::mem;
    o.size = static_cast<u8>(zo.size / 8);
    o.seg = static_cast<Seg>(kRegisters.of[zo.mem.segment].reg);
    if (code64 && o.seg != FS && o.seg != GS && o.seg != SS) o.seg = DS;
    o.value = static_cast<u64>(zo.mem.disp.value);
    if (zo.mem.base != ZYDIS_REGISTER_NONE) o.base = static_cast<i8>(kRegisters.of[zo.mem.base].reg);
    if (zo.mem.index != ZYDIS_REGISTER_NONE) {
        o.index = static_cast<i8>(kRegisters.of[zo.mem.index].reg);
        o.vector_index = kRegisters.of[zo.mem.index].kind == Operand::xmm;
        o.scale = zo.mem.scale ? zo.mem.scale : 1;
    }
    // Zydis takes a base from REX.B where a SIB byte without base says "disp32" (67 41 8B 04 25 ...).
    const auto& raw = zi.raw;
    if (zi.address_width != 16 && raw.modrm.mod == 0 && raw.modrm.rm == 4 && raw.sib.offset && raw.sib.base == 5) {
        o.base = -1;
        i32 disp;
        std::memcpy(&disp, bytes + raw.sib.offset + 1, 4);
        o.value = static_cast<u64>(i64{disp});
    }
}

void set_operand(const ZydisDecodedInstruction& zi, const ZydisDecodedOperand& zo, const u8* bytes, Insn& in) {
    Operand& o = in.op[in.op_count++];
    switch (zo.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: {
        const auto& r = kRegisters.of[zo.reg.value];
        o.kind = r.kind, o.reg = r.reg, o.size = r.size;
        break;
    }
    case ZYDIS_OPERAND_TYPE_MEMORY: set_memory(zi, zo, bytes, o); break;
    case ZYDIS_OPERAND_TYPE_POINTER:  // becomes two immediates: selector, offset
        o.kind = Operand::imm, o.size = 2, o.value = zo.ptr.segment;
        if (in.op_count < 4) {
            Operand& off = in.op[in.op_count++];
            off.kind = Operand::imm, off.size = in.op_size, off.value = zo.ptr.offset;
        }
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        o.size = static_cast<u8>(zo.size / 8);
        o.value = zo.imm.value.u;
        o.kind = Operand::imm;
        if (zo.imm.is_relative) {
            o.kind = Operand::rel;
            o.value += in.next;
            if (zi.machine_mode != ZYDIS_MACHINE_MODE_LONG_64) o.value &= in.op_size == 2 ? 0xffff : 0xffffffff;
        }
        break;
    default: break;
    }
}

void set_prefixes(const ZydisDecodedInstruction& zi, bool code64, bool code32, Insn& in) {
    const auto a = zi.attributes;
    in.lock = a & ZYDIS_ATTRIB_HAS_LOCK;
    bool rex_w = false;
    for (unsigned i = 0; i < zi.raw.prefix_count; ++i) {
        const u8 p = zi.raw.prefixes[i].value;
        in.rep = p == 0xf3 || (in.rep && p != 0xf2);
        in.repne = p == 0xf2 || (in.repne && p != 0xf3);
        in.prefix66 |= p == 0x66;
    }
    if (a & ZYDIS_ATTRIB_HAS_REX) rex_w = zi.raw.rex.W;
    if (in.vex) rex_w = code64 && zi.raw.vex.W;
    if (a & ZYDIS_ATTRIB_HAS_SEGMENT_FS) in.seg = FS;
    else if (a & ZYDIS_ATTRIB_HAS_SEGMENT_GS) in.seg = GS;
    else if (code64) in.seg = DS;
    else if (a & ZYDIS_ATTRIB_HAS_SEGMENT_CS) in.seg = CS;
    else if (a & ZYDIS_ATTRIB_HAS_SEGMENT_SS) in.seg = SS;
    else if (a & ZYDIS_ATTRIB_HAS_SEGMENT_ES) in.seg = ES;
    in.op_size = rex_w ? 8 : (code64 || code32) != in.prefix66 ? 4 : 2;
    in.addr_size = static_cast<u8>(zi.address_width / 8);
}
/// SDM vol. 2A, "Intel AVX": legacy encodings and VEX, the latter not in real and virtual-8086 mode. 3DNow!, XOP, EVEX do not exist here.
bool encoding_exists(const ZydisDecodedInstruction& zi, jit::Mode m) {
    if (zi.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY) return true;
    return zi.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && (m.bits & mode::Protected) && !(m.bits & mode::Vm86);
}

/// Some instructions need more than their row says, by the form in which they come.
bool form_exists(const ZydisDecodedInstruction& zi, Mn mn, const IsaSet& features) {
    // VPINSRD and VPEXTRD outside of 64-bit code: "VEX.W is ignored; the instruction behaves as if the W0 version is used" (SDM vol. 2B,
    // "PINSRB/PINSRD/PINSRQ"). AMD's processors have no such instruction.
    const bool element = mn == Mn::PINSRD || mn == Mn::PEXTRD;
    if (element && features.has(Isa::zen) && zi.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && zi.raw.vex.W) return false;
    if (zi.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && kVexForms[static_cast<size_t>(mn)] && !features.has(Isa::avx)) return false;
    switch (zi.meta.isa_set) {
    case ZYDIS_ISA_SET_SSE4: return features.has(Isa::sse4_1);   // of PEXTRW the form that can store
    case ZYDIS_ISA_SET_AVX2: case ZYDIS_ISA_SET_AVX2GATHER: return features.has(Isa::avx2);
    case ZYDIS_ISA_SET_KNCV: return false;   // POPCNT, LZCNT and TZCNT with VEX: Knights Corner only
    case ZYDIS_ISA_SET_VAES: return features.has(Isa::vaes);
    case ZYDIS_ISA_SET_VPCLMULQDQ: return features.has(Isa::vpclmulqdq);
    default: return true;
    }
}

/// The processor fetches the whole instruction before it finds it undefined: a fault of its later bytes comes first.
Decode undefined(const u8* bytes, size_t size, CodeSize code, bool zen, Insn& out) {
    const size_t length = encoding_length(bytes, size, code, zen);
    if (length > 15 || (length > size && size >= 15)) return Decode::too_long;
    if (length > size) return Decode::more;
    out.length = static_cast<u8>(length);
    return Decode::undefined;
}
}  // namespace

Isa isa_of(Mn mn) { return kRows[static_cast<size_t>(mn)].isa; }

bool waits_for_fpu(const Insn& in) {
    for (const Operand& o : in.op)
        if (o.kind == Operand::mmx) return true;
    switch (in.mn) {
    case Mn::EMMS: return true;
    case Mn::FNINIT: case Mn::FNCLEX: case Mn::FNSTCW: case Mn::FNSTSW: case Mn::FNSTENV: case Mn::FNSAVE: return false;
    default: return isa_of(in.mn) == Isa::fpu;
    }
}

const char* mnemonic_name(Mn mn, bool vex) {
    const u16 form = vex ? kVexForms[static_cast<size_t>(mn)] : u16{0};
    return form ? kVexNames[form - 1] : kRows[static_cast<size_t>(mn)].name;
}

Disassembly disassemble(const u8* bytes, size_t size, u64 rip, jit::Mode m, const IsaSet& features) {
    const ZydisDecoder d = decoder_for(m, features);
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];
    ZydisFormatter formatter;
    char text[128];
    if (ZYAN_FAILED(ZydisDecoderDecodeFull(&d, bytes, size, &zi, zo)) || ZYAN_FAILED(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)) ||
        ZYAN_FAILED(ZydisFormatterFormatInstruction(&formatter, &zi, zo, zi.operand_count_visible, text, sizeof text, rip, nullptr)))
        return {"(bad)"};
    return {text, zi.length};
}

/// Zydis' real mode does not know SYSENTER and SYSEXIT, which are #GP there and go on in virtual-8086 mode (SDM vol. 2B).
static ZyanStatus decode_instruction(ZydisDecoder d, ZydisDecoderContext& context, const u8* bytes, size_t size, ZydisDecodedInstruction& zi) {
    const ZyanStatus status = ZydisDecoderDecodeInstruction(&d, &context, bytes, size, &zi);
    if (d.machine_mode != ZYDIS_MACHINE_MODE_REAL_16 || status != ZYDIS_STATUS_DECODING_ERROR) return status;
    d.machine_mode = ZYDIS_MACHINE_MODE_LEGACY_16;
    if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(&d, &context, bytes, size, &zi))) return status;
    return zi.mnemonic == ZYDIS_MNEMONIC_SYSENTER || zi.mnemonic == ZYDIS_MNEMONIC_SYSEXIT ? ZYAN_STATUS_SUCCESS : status;
}

Decode decode(const u8* bytes, size_t size, u64 rip, jit::Mode m, const IsaSet& features, Insn& out) {
    const ZydisDecoder d = decoder_for(m, features);
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderContext context;
    out = Insn{};
    out.rip = rip;
    const ZyanStatus status = decode_instruction(d, context, bytes, size, zi);
    const bool code64 = m.bits & mode::Code64, code32 = m.bits & mode::Code32, zen = features.has(Isa::zen);
    const CodeSize code = code64 ? CodeSize::b64 : code32 ? CodeSize::b32 : CodeSize::b16;
    // UD0 and UD1, for Zen shorter than for Zydis.
    if (status == ZYDIS_STATUS_NO_MORE_DATA && zen && encoding_length(bytes, size, code, zen) <= size) return undefined(bytes, size, code, zen, out);
    if (status == ZYDIS_STATUS_NO_MORE_DATA) return size >= 15 ? Decode::too_long : Decode::more;
    if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG) return Decode::too_long;
    if (ZYAN_FAILED(status) || ZYAN_FAILED(ZydisDecoderDecodeOperands(&d, &context, &zi, zo, zi.operand_count)))
        return undefined(bytes, size, code, zen, out);

    out.mn = kMnemonics.of[zi.mnemonic];
    out.length = zi.length;
    out.opcode = zi.opcode;
    if (zi.attributes & ZYDIS_ATTRIB_HAS_MODRM) out.modrm = static_cast<u8>(zi.raw.modrm.mod << 6 | zi.raw.modrm.reg << 3 | zi.raw.modrm.rm);
    out.next = code64 ? rip + zi.length : static_cast<u32>(rip + zi.length);
    if (out.mn == Mn::invalid || !features.has(kRows[static_cast<size_t>(out.mn)].isa)) return undefined(bytes, size, code, zen, out);
    if (!encoding_exists(zi, m) || !form_exists(zi, out.mn, features)) return Decode::undefined;
    if (zi.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) out.vex = zi.avx.vector_length == 256 ? 32 : 16;
    set_prefixes(zi, code64, code32, out);
    for (unsigned i = 0; i < zi.operand_count && out.op_count < 4; ++i)
        if (zo[i].visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN) set_operand(zi, zo[i], bytes, out);

    // VPINSRD and VPEXTRD with W outside of 64-bit code: ignored on Intel, undefined on AMD.
    if (features.has(Isa::zen) && out.vex && !code64 && zi.raw.vex.W && (out.mn == Mn::PINSRD || out.mn == Mn::PEXTRD)) return Decode::undefined;

    // 0F 0D with a register operand: a NOP on Intel, undefined on AMD.
    if (features.has(Isa::zen) && out.mn == Mn::NOP && out.opcode == 0x0d && out.modrm >= 0xc0) return Decode::undefined;

    // MOVSXD with a 16-bit destination reads 16 bits on Intel and 32 on AMD, as Zydis says.
    if (!features.has(Isa::zen) && out.mn == Mn::MOVSXD && out.op_size == 2 && out.op[1].is_mem()) out.op[1].size = 2;

    // F3 41 90: PAUSE on Intel, as Zydis says; XCHG R8, RAX with a meaningless prefix on AMD.
    if (features.has(Isa::zen) && out.mn == Mn::PAUSE && code64 && (zi.attributes & ZYDIS_ATTRIB_HAS_REX) && zi.raw.rex.B) {
        out.mn = Mn::XCHG, out.op_count = 2;
        out.op[0] = {.kind = Operand::gpr, .reg = R8, .size = out.op_size};
        out.op[1] = {.kind = Operand::gpr, .reg = RAX, .size = out.op_size};
    }
    return Decode::ok;
}
}  // namespace calque
