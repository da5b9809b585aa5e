// Guest kernels without a guest: this program's own functions, run natively and as guest code of one processor whose page tables
// map the program onto itself. Prints one JSON line a kernel.
//   bench_kernels [--only NAME] [--disable SWITCH,...] [--interp]
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

#include "cpu/apic.h"
#include "cpu/cpu.h"
#include "cpu/mmu.h"
#include "cpu/model.h"
#include "cpu/system.h"
#include "support/log.h"

extern const char __executable_start;

namespace {
using namespace calque;
#define KERNEL __attribute__((noinline, noclone, optimize("no-tree-loop-distribute-patterns")))

u32 rng_state = 12345;
KERNEL u32 rng() {
    rng_state ^= rng_state << 13, rng_state ^= rng_state >> 17, rng_state ^= rng_state << 5;
    return rng_state;
}

u32 crc_table[256];
KERNEL u64 k_crc() {
    for (u32 i = 0; i < 256; ++i) {
        u32 c = i;
        for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
        crc_table[i] = c;
    }
    u32 c = ~0u;
    for (u32 i = 0; i < 30000000; ++i) c = crc_table[(c ^ (i * 7)) & 255] ^ (c >> 8);
    return c;
}

u8 sieve_bits[2000001];
KERNEL u64 k_sieve() {
    u64 sum = 0;
    for (int r = 0; r < 8; ++r) {
        for (u32 i = 0; i <= 2000000; ++i) sieve_bits[i] = 1;
        for (u32 i = 2; i < 1415; ++i)
            if (sieve_bits[i])
                for (u32 j = i * i; j <= 2000000; j += i) sieve_bits[j] = 0;
        for (u32 i = 2; i <= 2000000; ++i) sum += sieve_bits[i];
    }
    return sum;
}

KERNEL u64 k_hash() {
    u64 h = 1469598103934665603ull;
    for (u32 i = 0; i < 40000000; ++i) h ^= static_cast<u8>(i), h *= 1099511628211ull;
    return h;
}

u32 to_sort[60000];
KERNEL void quick(u32* v, int lo, int hi) {
    while (lo < hi) {
        const u32 pivot = v[(lo + hi) / 2];
        int i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot) ++i;
            while (v[j] > pivot) --j;
            if (i <= j) {
                const u32 t = v[i];
                v[i++] = v[j], v[j--] = t;
            }
        }
        quick(v, lo, j);
        lo = i;
    }
}
KERNEL u64 k_sort() {
    u64 sum = 0;
    for (int r = 0; r < 20; ++r) {
        for (u32& v : to_sort) v = rng();
        quick(to_sort, 0, 59999);
        sum += to_sort[30000];
    }
    return sum;
}

KERNEL u32 fib(u32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
KERNEL u64 k_fib() { return fib(32); }

using Step = u32 (*)(u32);
KERNEL u32 o0(u32 x) { return x + 1; }
KERNEL u32 o1(u32 x) { return x ^ 0x5a5a; }
KERNEL u32 o2(u32 x) { return x * 3; }
KERNEL u32 o3(u32 x) { return x << 3 | x >> 29; }
volatile Step steps[4] = {o0, o1, o2, o3};
KERNEL u64 k_indirect() {
    u32 x = 1;
    for (int i = 0; i < 10000000; ++i) x = steps[x >> 4 & 3](x);
    return x;
}

u8 program[4096];
KERNEL u64 k_switch() {
    for (u8& p : program) p = static_cast<u8>(rng() % 7);
    u32 a = 1, b = 2, c = 3;
    for (int r = 0; r < 3000; ++r)
        for (const u8 p : program) switch (p) {
            case 0: a += b; break;
            case 1: b ^= c; break;
            case 2: c = c * 5 + 1; break;
            case 3: a = a >> 1 | a << 31; break;
            case 4: if (a & 1) ++b; break;
            case 5: c -= a; break;
            case 6: b = a - c; break;
            }
    return a + b + c;
}

u64 block_a[1 << 17], block_b[1 << 17];
KERNEL u64 k_copy() {
    u64 sum = 0;
    for (int r = 0; r < 60; ++r) {
        for (u32 i = 0; i < 1 << 17; ++i) block_a[i] = i + static_cast<u32>(r);
        for (u32 i = 0; i < 1 << 17; ++i) block_b[i] = block_a[i];
        for (u32 i = 0; i < 1 << 17; ++i) sum += block_b[i];
    }
    return sum;
}

u32 chain[1 << 20];
KERNEL u64 k_chase() {
    for (u32 i = 0; i < 1 << 20; ++i) chain[i] = i;
    for (u32 i = (1 << 20) - 1; i; --i) {
        const u32 j = rng() % i, t = chain[i];
        chain[i] = chain[j], chain[j] = t;
    }
    u32 x = 0;
    for (int i = 0; i < 4000000; ++i) x = chain[x];
    return x;
}

double bodies[5][3], speeds[5][3];
KERNEL u64 k_fp() {
    const double mass[5] = {39.47, .037, .011, .0017, .002};
    for (int i = 0; i < 5; ++i)
        for (int k = 0; k < 3; ++k) bodies[i][k] = i * 3.1 + k * .7 + (i ? 1 : 0), speeds[i][k] = .1 * i - .05 * k;
    for (int s = 0; s < 400000; ++s) {
        for (int i = 0; i < 5; ++i)
            for (int j = i + 1; j < 5; ++j) {
                double d[3], r2 = 0.01;
                for (int k = 0; k < 3; ++k) d[k] = bodies[i][k] - bodies[j][k], r2 += d[k] * d[k];
                const double mag = .001 / (r2 * __builtin_sqrt(r2));
                for (int k = 0; k < 3; ++k) speeds[i][k] -= d[k] * mass[j] * mag, speeds[j][k] += d[k] * mass[i] * mag;
            }
        for (int i = 0; i < 5; ++i)
            for (int k = 0; k < 3; ++k) bodies[i][k] += .001 * speeds[i][k];
    }
    return static_cast<u64>((bodies[0][0] + bodies[3][1]) * 1e6);
}

float ma[128][128], mb[128][128], mc[128][128];
__attribute__((noinline, noclone, optimize("O3", "no-tree-loop-distribute-patterns"))) u64 k_simd() {
    for (int i = 0; i < 128; ++i)
        for (int j = 0; j < 128; ++j) ma[i][j] = static_cast<float>(i * j % 17), mb[i][j] = static_cast<float>((i + j) % 13), mc[i][j] = 0;
    for (int r = 0; r < 60; ++r)
        for (int i = 0; i < 128; ++i)
            for (int k = 0; k < 128; ++k) {
                const float t = ma[i][k];
                for (int j = 0; j < 128; ++j) mc[i][j] += t * mb[k][j];
            }
    float s = 0;
    for (int i = 0; i < 128; ++i) s += mc[i][i * 7 % 128];
    return static_cast<u64>(s);
}

struct Kernel {
    const char* name;
    u64 (*run)();
};
constexpr Kernel kKernels[] = {{"crc", k_crc}, {"sieve", k_sieve}, {"hash", k_hash}, {"sort", k_sort}, {"fib", k_fib}, {"indirect", k_indirect},
                               {"switch", k_switch}, {"copy", k_copy}, {"chase", k_chase}, {"fp", k_fp}, {"simd", k_simd}};

// ---- the guest

alignas(4096) u64 tables[2][512];
alignas(4096) u8 stack[1 << 16];
alignas(16) u8 halt[16] = {0xf4};
u64 region() { return reinterpret_cast<u64>(&__executable_start) & ~((u64{1} << 30) - 1); }

struct Self final : PhysSpace {
    PhysPage page(u64 p) override { return p < u64{3} << 30 ? PhysPage{reinterpret_cast<u8*>(region() + p), true} : PhysPage{}; }
    u64 read(u64, unsigned) override { return ~u64{0}; }
    void write(u64, u64, unsigned) override {}
};
struct NoPorts final : IoSpace {
    u32 in(u16, unsigned) override { return ~0u; }
    void out(u16, u32, unsigned) override {}
};
struct NoAck final : IntAck {
    u8 acknowledge() override { return 0; }
};

struct Machine {
    CpuModel model;
    Clock clock;
    Self memory;
    NoPorts ports;
    NoAck ack;
    Wire smm;
    std::unique_ptr<Cpu> cpu;

    explicit Machine(const jit::EngineOptions& o) : model{*parse_cpu_model("default")} {
        cpu = std::make_unique<Cpu>(model, CpuWiring{memory, ports, ack, clock, nullptr, &smm}, o);
        CpuState& s = cpu->state();
        const u64 base = region(), top = base >> 39 & 511;
        const auto phys = [&](const void* p) { return reinterpret_cast<u64>(p) - base; };
        tables[0][top] = phys(tables[1]) | 3;
        for (unsigned n = 0; n < 3 && (base >> 30 & 511) + n < 512; ++n) tables[1][(base >> 30 & 511) + n] = u64{n} << 30 | 0x83;
        s.cr0 = 0x10 | cr0::PE | cr0::PG | cr0::WP;
        s.cr3 = phys(tables[0]);
        s.cr4 = cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT;
        s.efer = efer::LME | efer::LMA | efer::SCE | efer::NXE;
        for (Segment& g : s.seg) g = {0x10, 0xc09300, 0xffffffff, 0};
        s.seg[CS] = {8, 0xa09b00, 0xffffffff, 0};
        s.cpl = 0;
        write_eflags(s, 2);
        refresh_mode(s);
        paging_changed(s);
    }

    bool run(u64 (*kernel)(), u64& result, u64& insns) {
        CpuState& s = cpu->state();
        u64* sp = reinterpret_cast<u64*>(stack + sizeof stack - 56);
        *sp = reinterpret_cast<u64>(halt);
        s.gpr[RSP] = reinterpret_cast<u64>(sp);
        s.x.rip = reinterpret_cast<u64>(kernel);
        s.halted = false;
        const u64 before = cpu->icount();
        const Cpu::Stop stop = cpu->run_until(before + 100000000000);
        insns = cpu->icount() - before;
        result = s.gpr[RAX];
        return stop == Cpu::Stop::halted;
    }
};

/// Processor time of this program, so that a busy host does not count.
double now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }
}  // namespace

int main(int argc, char** argv) {
    jit::EngineOptions o;
    std::string only;
    for (int n = 1; n < argc; ++n) {
        const std::string arg = argv[n];
        if (arg == "--interp") o.jit = false;
        else if (arg == "--only" && n + 1 < argc) only = argv[++n];
        else if (arg == "--disable" && n + 1 < argc) {
            std::string names = argv[++n];
            for (size_t at; !names.empty(); names.erase(0, at == std::string::npos ? at : at + 1)) at = names.find(','), o.disable.push_back(names.substr(0, at));
        } else if (arg == "--trace") {
            Log::set_level("x64", LogLevel::trace);
            Log::set_level("opt", LogLevel::trace);
        }
    }
    for (const Kernel& k : kKernels) {
        if (!only.empty() && only != k.name) continue;
        rng_state = 12345;
        double start = now();
        const u64 want = k.run();
        const double native = now() - start;
        Machine m{o};
        rng_state = 12345;
        start = now();
        u64 got = 0, insns = 0;
        const bool done = m.run(k.run, got, insns);
        const double ours = now() - start;
        std::printf("{\"kernel\": \"%s\", \"native\": %.3f, \"ours\": %.3f, \"ratio\": %.2f, \"mips\": %.0f, \"same\": %s}\n", k.name, native, ours, ours / native,
                    static_cast<double>(insns) / ours / 1e6, done && want == got ? "true" : "false");
        std::fflush(stdout);
    }
}
