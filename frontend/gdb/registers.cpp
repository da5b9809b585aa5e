#include "frontend/gdb/registers.h"

#include <algorithm>
#include <set>


namespace calque {
namespace {
// GDB insists on these names of features, and on these registers in them.
constexpr const char *kCore = "org.gnu.gdb.i386.core", *kSse = "org.gnu.gdb.i386.sse", *kAvx = "org.gnu.gdb.i386.avx",
                     *kSegments = "org.gnu.gdb.i386.segments", *kSystem = "org.calque.system";

// Types that GDB shows well. They have the same size under every architecture, which its own code_ptr and data_ptr have not.
constexpr const char* kCoreTypes = R"(<flags id="i386_eflags" size="4">
<field name="CF" start="0" end="0"/><field name="" start="1" end="1"/><field name="PF" start="2" end="2"/><field name="AF" start="4" end="4"/>
<field name="ZF" start="6" end="6"/><field name="SF" start="7" end="7"/><field name="TF" start="8" end="8"/><field name="IF" start="9" end="9"/>
<field name="DF" start="10" end="10"/><field name="OF" start="11" end="11"/><field name="IOPL" start="12" end="13"/><field name="NT" start="14" end="14"/>
<field name="RF" start="16" end="16"/><field name="VM" start="17" end="17"/><field name="AC" start="18" end="18"/><field name="VIF" start="19" end="19"/>
<field name="VIP" start="20" end="20"/><field name="ID" start="21" end="21"/></flags>
)";
constexpr const char* kSseTypes = R"(<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/><vector id="v4i32" type="int32" count="4"/>
<vector id="v2i64" type="int64" count="2"/>
<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/><field name="v16_int8" type="v16i8"/>
<field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/><field name="uint128" type="uint128"/></union>
<flags id="i386_mxcsr" size="4"><field name="IE" start="0" end="0"/><field name="DE" start="1" end="1"/><field name="ZE" start="2" end="2"/>
<field name="OE" start="3" end="3"/><field name="UE" start="4" end="4"/><field name="PE" start="5" end="5"/><field name="DAZ" start="6" end="6"/>
<field name="IM" start="7" end="7"/><field name="DM" start="8" end="8"/><field name="ZM" start="9" end="9"/><field name="OM" start="10" end="10"/>
<field name="UM" start="11" end="11"/><field name="PM" start="12" end="12"/><field name="FZ" start="15" end="15"/></flags>
)";
constexpr const char* kSystemTypes = R"(<flags id="cr0_flags" size="8"><field name="PE" start="0" end="0"/><field name="MP" start="1" end="1"/>
<field name="EM" start="2" end="2"/><field name="TS" start="3" end="3"/><field name="ET" start="4" end="4"/><field name="NE" start="5" end="5"/>
<field name="WP" start="16" end="16"/><field name="AM" start="18" end="18"/><field name="NW" start="29" end="29"/><field name="CD" start="30" end="30"/>
<field name="PG" start="31" end="31"/></flags>
<flags id="cr4_flags" size="8"><field name="VME" start="0" end="0"/><field name="PVI" start="1" end="1"/><field name="TSD" start="2" end="2"/>
<field name="DE" start="3" end="3"/><field name="PSE" start="4" end="4"/><field name="PAE" start="5" end="5"/><field name="MCE" start="6" end="6"/>
<field name="PGE" start="7" end="7"/><field name="PCE" start="8" end="8"/><field name="OSFXSR" start="9" end="9"/><field name="OSXMMEXCPT" start="10" end="10"/>
<field name="UMIP" start="11" end="11"/><field name="FSGSBASE" start="16" end="16"/><field name="PCIDE" start="17" end="17"/>
<field name="OSXSAVE" start="18" end="18"/><field name="SMEP" start="20" end="20"/><field name="SMAP" start="21" end="21"/></flags>
<flags id="efer_flags" size="8"><field name="SCE" start="0" end="0"/><field name="LME" start="8" end="8"/><field name="LMA" start="10" end="10"/>
<field name="NXE" start="11" end="11"/></flags>
)";

constexpr const char* kGprs64[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr const char* kGprs32[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
struct Renamed {
    const char *gdb, *ours;
};
constexpr Renamed kX87[] = {{"fctrl", "fcw"}, {"fstat", "fsw"}, {"ftag", "ftw"}, {"fiseg", "fcs"}, {"fioff", "fip"}, {"foseg", "fds"}, {"fooff", "fdp"}, {"fop", "fop"}};

std::string system_type(const std::string& name, unsigned bits) {
    if (name == "cr0" || name == "cr4" || name == "efer") return name + "_flags";
    return "uint" + std::to_string(bits);
}
unsigned whole_bytes(unsigned bits) { return bits <= 8 ? 8 : bits <= 16 ? 16 : bits <= 32 ? 32 : 64; }
}  // namespace

GdbRegisters::GdbRegisters(Cpu& cpu) : cpu_{cpu} {
    for (const char* name : kGprs64) add(kCore, name, name, 64, "int64");
    add_special(kCore, "rip", Special::pc, 64);
    add(kCore, "eflags", "eflags", 32, "i386_eflags");
    for (const char* name : {"cs", "ss", "ds", "es", "fs", "gs"}) add(kCore, name, name, 32, "int32");
    for (unsigned n = 0; n < 8; ++n) add(kCore, "st" + std::to_string(n), ("st" + std::to_string(n)).c_str(), 80, "i387_ext");
    for (const Renamed& r : kX87) add(kCore, r.gdb, r.ours, 32, "int");
    // GDB extends signed ones when it takes them as addresses.
    for (const char* name : kGprs32) add(kCore, name, name, 32, name[2] == 'p' ? "uint32" : "int32");
    add_special(kCore, "eip", Special::pc, 32);
    for (unsigned n = 0; n < 16; ++n) add(kSse, "xmm" + std::to_string(n), ("xmm" + std::to_string(n)).c_str(), 128, "vec128");
    add(kSse, "mxcsr", "mxcsr", 32, "i386_mxcsr");
    if (cpu.has_feature(Isa::avx))
        for (unsigned n = 0; n < 16; ++n) add(kAvx, "ymm" + std::to_string(n) + "h", ("ymm" + std::to_string(n)).c_str(), 128, "uint128", 2);
    for (const char* name : {"fs", "gs"}) add(kSegments, std::string{name} + "_base", (std::string{name} + ".base").c_str(), 64, "int64");
    add_the_rest();
    const std::set<std::string> told{"rip", "rsp", "rbp", "eip", "esp", "ebp"};
    for (unsigned n = 0; n < public_.size(); ++n)
        if (told.count(public_[n].name)) expedited_.push_back(n);
}

void GdbRegisters::add(const std::string& feature, const std::string& name, const char* source, unsigned bits, const std::string& type, unsigned first_word) {
    const Register* r = find_register(source);
    if (!r) return;   // only AVX's can be missing
    const bool plain = r->bits >= 128 || std::any_of(std::begin(kGprs64), std::end(kGprs64), [&](const char* g) { return r->whole == find_register(g)->whole; });
    public_.push_back({name, bits});
    rows_.push_back({r, Special::none, !plain, first_word, type, feature});
}

void GdbRegisters::add_special(const std::string& feature, const std::string& name, Special special, unsigned bits) {
    public_.push_back({name, bits});
    rows_.push_back({nullptr, special, true, 0, "uint" + std::to_string(bits), feature});
}

void GdbRegisters::add_the_rest() {
    std::set<unsigned> covered;
    for (const Row& r : rows_)
        if (r.source) covered.insert(r.source->whole);
    add(kSystem, "ip", "rip", 64, "uint64");   // the offset in the code segment
    covered.insert(find_register("rip")->whole);
    for (const Register& r : registers()) {
        if (!r.main || r.bits > 64 || covered.count(r.whole)) continue;
        std::string name = r.name;
        std::replace(name.begin(), name.end(), '.', '_');
        add(kSystem, name, r.name.c_str(), whole_bytes(r.bits), system_type(name, whole_bytes(r.bits)));
    }
    add_special(kSystem, "code_bits", Special::code_bits, 32);
    add_special(kSystem, "icount", Special::icount, 64);
}

// A 64-bit architecture for 16-bit code, or the other way round, only shows wrong disassembly, and "set architecture" changes it. Where 32-bit
// code runs none is named: GDB takes that of the program it debugs, or i386; if i386 were named, it would not let the user choose i8086.
std::string GdbRegisters::description() const {
    const u32 mode = cpu_.state().x.mode.bits;
    std::string xml = "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n";
    if (mode & mode::Code64) xml += "<architecture>i386:x86-64</architecture>\n";
    else if (!(mode & mode::Code32)) xml += "<architecture>i8086</architecture>\n";
    xml += "<osabi>none</osabi>\n";
    std::string feature;
    for (size_t n = 0; n < rows_.size(); ++n) {
        const Row& r = rows_[n];
        if (r.feature != feature) {
            if (!feature.empty()) xml += "</feature>\n";
            feature = r.feature;
            xml += "<feature name=\"" + feature + "\">\n";
            xml += feature == kCore ? kCoreTypes : feature == kSse ? kSseTypes : feature == kSystem ? kSystemTypes : "";
        }
        xml += "<reg name=\"" + public_[n].name + "\" bitsize=\"" + std::to_string(public_[n].bits) + "\" type=\"" + r.type + "\" regnum=\"" +
               std::to_string(n) + "\"/>\n";
    }
    return xml + "</feature>\n</target>\n";
}

u64 GdbRegisters::pc() const {
    const CpuState& s = cpu_.state();
    return s.code64() ? s.x.rip : (s.x.rip + s.seg[CS].base) & 0xffffffff;
}

RegisterValue GdbRegisters::value(unsigned n) {
    const CpuState& s = cpu_.state();
    switch (rows_[n].special) {
    case Special::pc: return pc();
    case Special::icount: return cpu_.icount();
    case Special::code_bits: return s.code64() ? 64 : s.x.mode.bits & mode::Code32 ? 32 : 16;
    case Special::none: break;
    }
    RegisterValue v = read_register(cpu_, *rows_[n].source);
    if (rows_[n].first_word) v = {v.word[2], v.word[3]};
    return v;
}

void GdbRegisters::read(unsigned n, std::span<u8> out) {
    const RegisterValue v = value(n);
    for (unsigned i = 0; i < out.size(); ++i) out[i] = static_cast<u8>(v.word[i / 8] >> (8 * (i % 8)));
}

Result<void> GdbRegisters::set_pc(u64 linear, const Setter& set) {
    const CpuState& s = cpu_.state();
    const u64 offset = s.code64() ? linear : (linear - s.seg[CS].base) & 0xffffffff;
    if (!s.code64() && offset > s.seg[CS].limit) return Error{"that address lies outside of the code segment: set cs, or cs_base, first"};
    return set(*find_register("rip"), offset, false);
}

Result<void> GdbRegisters::write(unsigned n, std::span<const u8> in, const Setter& set) {
    const Row& r = rows_[n];
    RegisterValue v;
    for (unsigned i = 0; i < in.size(); ++i) v.word[i / 8] |= u64{in[i]} << (8 * (i % 8));
    if (r.special == Special::pc) return set_pc(public_[n].bits == 32 ? v.word[0] | (pc() & ~u64{0xffffffff}) : v.word[0], set);
    if (r.special != Special::none) return Error{public_[n].name + " cannot be changed"};
    if (r.first_word) {
        const RegisterValue high = v;
        v = read_register(cpu_, *r.source);
        v.word[2] = high.word[0], v.word[3] = high.word[1];
    }
    return set(*r.source, v, r.settles);
}
}  // namespace calque
