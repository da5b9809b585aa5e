// The bytes of an encoding are put before the end of the last page of code, first only some of them, then more: while the processor wants
// more, it reports a page fault at the page's end. So the length comes out of instructions that run and of those that are undefined, too.
// General registers point to memory that is not there, so that nothing else can happen.
#include "tests/silicon/encodings.h"

#include <Zydis/Zydis.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cpu/model.h"
#include "cpu/opcode_map.h"
#include "tests/silicon/forms.h"
#include "tests/silicon/native.h"
#include "tests/silicon/ours.h"

namespace calque::silicon {
namespace {

constexpr u32 kEnd = 0x2000;
constexpr u64 kNowhere = 0x300000;

struct Encoding {
    u8 bytes[15]{};
    u8 opcode_end = 0;   // bytes up to the opcode
};

struct Verdict {
    enum Kind : u8 { runs, undefined, endless } kind = endless;   // runs: or has another fault than #UD
    u8 length = 0;
    bool operator==(const Verdict&) const = default;
};

/// Reaches the kernel, or what the host itself runs under.
bool forbidden(const Encoding& e) {
    const u8* p = e.bytes + e.opcode_end - 1;
    const bool two = e.opcode_end >= 2 && p[-1] == 0x0f;
    if (two && (*p == 0x05 || *p == 0x34)) return true;
    return two && *p == 0x01 && (p[1] == 0xc1 || p[1] == 0xd4 || p[1] == 0xd9);
}

class Walk {
public:
    explicit Walk(CodeMode m)
        : mode_{m}, base_{7}, native_{m, base_}, ours_{m, Executor::interp, base_, host_features(), native_.fs_base()}, outcome_{std::make_unique<Outcome>()} {}
    int run();

private:
    void collect();
    void opcodes(Encoding e, size_t at, unsigned map);
    void ask_host();
    Verdict ask_ours(const Encoding&);
    Case make(const Encoding&, unsigned length) const;
    Verdict judge(const Case&, const Outcome&) const;
    std::string not_offered(const Encoding&) const;
    void report();

    const CodeMode mode_;
    BaseImage base_;
    Native native_;
    Ours ours_;
    std::unique_ptr<Outcome> outcome_;
    std::vector<Encoding> all_;
    std::vector<Verdict> host_;
    unsigned differences_ = 0;
};

/// All forms of ModRM that tell instructions apart: memory at [register] and registers.
void Walk::opcodes(Encoding e, size_t at, unsigned map) {
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
        static constexpr u8 kPrefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x0f};
        const bool wide = mode_ == CodeMode::long64;
        if (map == 0 && std::count(std::begin(kPrefixes), std::end(kPrefixes), opcode)) continue;
        if (map == 0 && wide && ((opcode & 0xf0) == 0x40 || opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62)) continue;
        if (map == 1 && (opcode == 0x38 || opcode == 0x3a)) continue;
        e.bytes[at] = static_cast<u8>(opcode);
        e.opcode_end = static_cast<u8>(at + 1);
        const u8 with_sib[3] = {static_cast<u8>(opcode), 0x04, 0x24}, without[3] = {static_cast<u8>(opcode), 0x01, 0x24};
        const auto size = wide ? CodeSize::b64 : CodeSize::b32;
        const bool has_modrm = map || encoding_length(with_sib, 3, size, false) != encoding_length(without, 3, size, false);
        // Where all three bits of rm tell instructions apart.
        const bool each_rm = (map == 0 && (opcode & 0xf8) == 0xd8) || (map == 1 && (opcode == 0x01 || opcode == 0xae || opcode == 0x1e));
        for (unsigned modrm = 1; modrm < 256; ++modrm) {
            if (modrm != 1 && (!has_modrm || (modrm & 7) != 1) && !(each_rm && modrm >= 0xc0)) continue;
            if (modrm >= 0x40 && modrm < 0xc0) continue;
            if (map == 0 && !wide && modrm >= 0xc0 && (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62)) continue;   // VEX, EVEX
            e.bytes[at + 1] = static_cast<u8>(modrm);
            if (!forbidden(e)) all_.push_back(e);
        }
    }
}

void Walk::collect() {
    static const std::vector<std::vector<u8>> prefixes = {{}, {0x66}, {0xf2}, {0xf3}, {0xf0}};
    for (const auto& p : prefixes)
        for (const bool wide : {false, true})
            for (unsigned map = 0; map < 4; ++map) {
                if (wide && mode_ != CodeMode::long64) continue;
                Encoding e;
                size_t n = 0;
                for (const u8 b : p) e.bytes[n++] = b;
                if (wide) e.bytes[n++] = 0x48;
                if (map) e.bytes[n++] = 0x0f;
                if (map > 1) e.bytes[n++] = map == 2 ? 0x38 : 0x3a;
                opcodes(e, n, map);
            }
    for (const unsigned vvvv : {15u, 5u})
        for (unsigned map = 1; map < 4; ++map)
            for (unsigned pp = 0; pp < 4; ++pp)
                for (const unsigned wl : {0x00u, 0x04u, 0x80u, 0x84u}) {
                    Encoding e;
                    e.bytes[0] = 0xc4, e.bytes[1] = static_cast<u8>(0xe0 | map), e.bytes[2] = static_cast<u8>(wl | vvvv << 3 | pp);
                    opcodes(e, 3, 4);
                }
}

Case Walk::make(const Encoding& e, unsigned length) const {
    Case c;
    c.mode = mode_;
    c.end = kEnd;
    c.length = static_cast<u8>(length);
    std::memcpy(c.bytes, e.bytes, length);
    std::fill(std::begin(c.gpr), std::end(c.gpr), kNowhere);
    c.in.addr_size = 8;
    return c;
}

Verdict Walk::judge(const Case& c, const Outcome& o) const {
    const bool inside = o.rip == c.rip(), wants_more = inside && o.vector == 14 && o.cr2 - (where::code + kEnd) < 16;
    if (wants_more) return {};
    return {inside && o.vector == 6 ? Verdict::undefined : Verdict::runs, c.length};
}

void Walk::ask_host() {
    host_.resize(all_.size());
    std::vector<std::pair<u32, u8>> open;   // which, and how many of its bytes
    size_t next = 0;
    while (true) {
        while (open.size() < Batch::size && next < all_.size()) open.push_back({static_cast<u32>(next), all_[next].opcode_end}), ++next;
        if (open.empty()) return;
        Batch& b = native_.batch(0);
        b.count = static_cast<u32>(open.size());
        for (u32 i = 0; i < b.count; ++i) b.in[i] = make(all_[open[i].first], open[i].second);
        native_.start(0);
        if (!native_.finish(0)) {
            std::printf("the native side died or hung:");
            for (u8 x : all_[open[b.running].first].bytes) std::printf(" %02x", x);
            std::printf("\n");
            ++differences_;
            open.erase(open.begin() + b.running);
            continue;
        }
        std::vector<std::pair<u32, u8>> still;
        for (u32 i = 0; i < b.count; ++i) {
            const Verdict v = judge(b.in[i], b.out[i]);
            if (v.kind == Verdict::endless && open[i].second < 15) still.push_back({open[i].first, static_cast<u8>(open[i].second + 1)});
            else host_[open[i].first] = v;
        }
        open = std::move(still);
    }
}

Verdict Walk::ask_ours(const Encoding& e) {
    for (unsigned length = e.opcode_end; length <= 15; ++length) {
        const Case c = make(e, length);
        ours_.run(c, *outcome_);
        const Verdict v = judge(c, *outcome_);
        if (v.kind != Verdict::endless) return v;
    }
    return {};
}

/// The extension that some hosts have and no model of ours has, or not yet; nothing: another.
std::string Walk::not_offered(const Encoding& e) const {
    static const std::set<std::string> kSets = {
        "SSE4A", "XOP", "TBM", "FMA4", "LWP", "AMD3DNOW", "MONITORX", "CLZERO", "RDPRU", "PKU", "MCOMMIT", "SNP", "AMD_INVLPGB", "CET", "CLWB", "CLDEMOTE", "WBNOINVD",
        "RTM", "SGX", "WAITPKG", "SERIALIZE", "MOVDIR", "PTWRITE", "ENQCMD", "HRESET", "UINTR", "KEYLOCKER", "AVX_VNNI", "TDX", "PCONFIG", "SMX", "VTX", "SVM",
    };
    const u8* b = e.bytes;
    if (b[0] == 0xc4 && (b[1] & 31) == 1 && (b[3] & 0xf0) == 0x40 && b[2] & 4) return "AVX512";   // its mask registers, with high bits of vvvv that mean nothing
    static const IsaSet max = parse_cpu_model("max")->features;
    static const std::map<std::string, Isa> kLater = {
        {"SSE4", Isa::sse4_2}, {"SSE42", Isa::sse4_2}, {"AES", Isa::aes}, {"PCLMULQDQ", Isa::pclmulqdq}, {"SHA", Isa::sha}, {"AVX", Isa::avx}, {"AVXAES", Isa::avx}, {"AVX2", Isa::avx2}, {"AVX2GATHER", Isa::avx2},
        {"FMA", Isa::fma}, {"F16C", Isa::f16c}, {"GFNI", Isa::gfni}, {"AVX_GFNI", Isa::gfni}, {"VAES", Isa::vaes}, {"VPCLMULQDQ", Isa::vpclmulqdq},
    };
    ZydisDecoder d;
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];
    if (mode_ == CodeMode::long64) ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    else ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    if (ZYAN_FAILED(ZydisDecoderDecodeFull(&d, e.bytes, 15, &zi, zo))) return {};
    const std::string set = ZydisISASetGetString(zi.meta.isa_set);
    const auto later = kLater.find(set);
    return kSets.count(set) || set.starts_with("AVX512") || (later != kLater.end() && !max.has(later->second)) ? set : "";
}

std::string text(const Verdict& v) {
    if (v.kind == Verdict::endless) return "endless";
    return std::string{v.kind == Verdict::runs ? "runs" : "#UD"} + " (" + std::to_string(v.length) + ")";
}

void Walk::report() {
    // One line for encodings that differ in ModRM only.
    std::map<std::string, std::pair<std::string, unsigned>> lines;
    std::map<std::string, unsigned> left_out;
    for (size_t i = 0; i < all_.size(); ++i) {
        const Verdict ours = ask_ours(all_[i]);
        if (ours == host_[i]) continue;
        const std::string lacking = ours.kind == Verdict::undefined && host_[i].kind == Verdict::runs ? not_offered(all_[i]) : "";
        if (!lacking.empty()) {
            ++left_out[lacking];
            continue;
        }
        const u8* b = all_[i].bytes;
        const unsigned n = all_[i].opcode_end, modrm = b[n];
        std::string key;
        char part[64];
        for (unsigned k = 0; k < n; ++k) std::snprintf(part, sizeof part, "%02x ", b[k]), key += part;
        key += modrm >= 0xc0 ? "register" : "memory";
        key += std::string{": host "} + text(host_[i]) + ", ours " + text(ours);
        std::snprintf(part, sizeof part, " %02x", modrm);
        auto& line = lines[key];
        line.first += part, ++line.second;
    }
    for (const auto& [key, line] : lines) std::printf("%s, ModRM%s\n", key.c_str(), line.second >= 8 ? " all" : line.first.c_str());
    for (const auto& [what, n] : left_out) std::printf("%u of %s, which no model has\n", n, what.c_str());
    differences_ += static_cast<unsigned>(lines.size());
}

int Walk::run() {
    collect();
    ask_host();
    report();
    std::printf("%s: %zu encodings, %u differences\n", mode_name(mode_), all_.size(), differences_);
    return differences_ != 0;
}
}  // namespace

int walk_encodings(CodeMode m) {
    if (!flat(m)) return std::fprintf(stderr, "silicon: --encodings needs --mode long64 or flat32\n"), 2;
    return Walk{m}.run();
}
}  // namespace calque::silicon
