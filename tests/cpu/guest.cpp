#include "guest.h"

namespace calque::test {
namespace {

std::vector<u8> bytes_of(std::string_view hex) {
    std::vector<u8> out;
    int high = -1;
    for (const char c : hex) {
        if (c == ' ' || c == '\n') continue;
        const int d = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
        REQUIRE((d >= 0 && d < 16));
        if (high < 0) high = d;
        else out.push_back(static_cast<u8>(high << 4 | d)), high = -1;
    }
    REQUIRE(high < 0);
    return out;
}

CpuModel model_named(std::string_view name) {
    auto m = parse_cpu_model(name);
    REQUIRE(m);
    return *m;
}

jit::EngineOptions options(Engine e) {
    jit::EngineOptions o;
    o.jit = e == Engine::jit;
    o.warm = 0;
    o.arena_bytes = 4u << 20;
    return o;
}

Segment flat(u16 selector, u32 attr) { return {selector, attr, 0xffffffff, 0}; }
}  // namespace

Guest::Guest(Engine e, const CpuModel& wanted)
    : model{wanted},
      cpu{std::make_unique<Cpu>(model, CpuWiring{memory, ports, ack, clock, nullptr, &smm, &ferr}, options(e))},
      rax{s().gpr[RAX]}, rbx{s().gpr[RBX]}, rcx{s().gpr[RCX]}, rdx{s().gpr[RDX]}, rsp{s().gpr[RSP]}, rbp{s().gpr[RBP]}, rsi{s().gpr[RSI]},
      rdi{s().gpr[RDI]} {
    ports.clock = &clock;
    ack.intr = &cpu->intr();
}

Guest::Guest(Engine e, Mode m, std::string_view hex, std::string_view name) : Guest{e, m, hex, model_named(name)} {}

Guest::Guest(Engine e, Mode m, std::string_view hex, const CpuModel& wanted) : Guest{e, wanted} {
    for (unsigned v = 0; v < 256; ++v) {
        memory.ram[at::Handlers + 16 * v] = memory.ram[at::OwnHandlers + 16 * v] = 0xf4;
        put(at::Ivt + 4 * v, m == Mode::vm86 ? at::OwnHandlers + 16 * v : at::Handlers + 16 * v, 4);
    }
    descriptor(sel::Code32, 0, 0xffffffff, 0xc09b00);
    descriptor(sel::Data32, 0, 0xffffffff, 0xc09300);
    descriptor(sel::Code16, 0, 0xffff, 0x009b00);
    descriptor(sel::Data16, 0, 0xffff, 0x009300);
    descriptor(sel::Code64, 0, 0xffffffff, 0xa09b00);
    descriptor(sel::UserCode32, 0, 0xffffffff, 0xc0fb00);
    descriptor(sel::UserData, 0, 0xffffffff, 0xc0f300);
    descriptor(sel::UserCode64, 0, 0xffffffff, 0xa0fb00);
    code(hex);
    enter(m);
}

void Guest::code(std::string_view hex, u64 paddr) {
    const auto b = bytes_of(hex);
    for (size_t i = 0; i < b.size(); ++i) memory.ram[paddr + i] = b[i];
    cpu->memory_changed(&memory.ram[paddr], b.size());
}

int Guest::vector() const {
    const CpuState& st = cpu->state();
    const u64 at = st.x.rip + st.x.mode.base - 1;
    return st.halted && at >= at::Handlers && at < at::Handlers + 4096 && at % 16 == 0 ? static_cast<int>((at - at::Handlers) / 16) : -1;
}

int Guest::own_vector() const {
    const CpuState& st = cpu->state();
    const u64 at = st.x.rip + st.x.mode.base - 1;
    return at >= at::OwnHandlers && at < at::OwnHandlers + 4096 && at % 16 == 0 ? static_cast<int>((at - at::OwnHandlers) / 16) : -1;
}

void Guest::descriptor(u16 selector, u32 base, u32 limit, u32 attr) {
    const u32 l = attr & 0x800000 ? limit >> 12 : limit;
    const u64 a = at::Gdt + (selector & 0xfff8u);
    put(a, (l & 0xffff) | base << 16, 4);
    put(a + 4, (base >> 16 & 0xff) | (attr & 0xf0ff00) | (l & 0xf0000) | (base & 0xff000000), 4);
}

void Guest::gate(u8 vector, u16 selector, u32 offset, u8 type) {
    const bool lm = s().long_active();
    const u64 a = at::Idt + vector * (lm ? 16u : 8u);
    put(a, (offset & 0xffff) | u32{selector} << 16, 4);
    put(a + 4, (offset & 0xffff0000) | u32{type} << 8, 4);
    if (lm) put(a + 8, 0, 8);
}

void Guest::enter(Mode m) {
    CpuState& st = s();
    const bool lm = m == Mode::long64 || m == Mode::user64, user = m == Mode::user32 || m == Mode::user64 || m == Mode::vm86;
    st.cr0 = 0x10 | (m == Mode::real ? 0 : cr0::PE);
    st.gdtr = {at::Gdt, 0xfff};
    st.idtr = {m == Mode::real ? at::Ivt : at::Idt, 0xfff};
    st.x.rip = at::Code;
    st.gpr[RSP] = at::Stack;
    st.cpl = user ? 3 : 0;
    u32 eflags = 2;
    for (Segment& g : st.seg) g = flat(user ? sel::UserData : sel::Data32, user ? 0xc0f300 : 0xc09300);
    st.tr = {sel::Tss, 0x8b00, 0x2067, at::Tss};
    descriptor(sel::Tss, at::Tss, 0x2067, 0x8b00);
    switch (m) {
    case Mode::real:
    case Mode::vm86:
        for (unsigned n = 0; n < kSegs; ++n) st.seg[n] = {0x1000, m == Mode::real ? 0x9300u : 0xf300u, 0xffff, 0x10000};
        st.seg[SS].selector = 0x1000, st.gpr[RSP] = 0xfff0, st.x.rip = 0;
        if (m == Mode::vm86) eflags |= eflags::VM;
        break;
    case Mode::protected16:
        st.seg[CS] = {sel::Code16, 0x9b00, 0xffff, 0x10000}, st.x.rip = 0;
        descriptor(sel::Code16, 0x10000, 0xffff, 0x9b00), descriptor(sel::Data16, 0x10000, 0xffff, 0x9300);
        st.seg[SS] = {sel::Data16, 0x9300, 0xffff, 0x10000}, st.gpr[RSP] = 0xfff0;
        break;
    case Mode::protected32: st.seg[CS] = flat(sel::Code32, 0xc09b00); break;
    case Mode::user32: st.seg[CS] = flat(sel::UserCode32, 0xc0fb00); break;
    case Mode::long64: st.seg[CS] = flat(sel::Code64, 0xa09b00); break;
    case Mode::user64: st.seg[CS] = flat(sel::UserCode64, 0xa0fb00); break;
    }
    if (lm) {
        page_tables_64();
        st.cr4 = cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT;
        st.efer = efer::LME | efer::LMA | efer::SCE | efer::NXE;
        st.cr0 |= cr0::PG | cr0::WP;
        put(at::Tss + 4, at::Stack0, 8);
    } else {
        put(at::Tss + 4, at::Stack0, 4), put(at::Tss + 8, sel::Data32, 4);
    }
    write_eflags(st, eflags);
    for (unsigned v = 0; v < 256 && m != Mode::real; ++v) gate(static_cast<u8>(v), lm ? sel::Code64 : sel::Code32, at::Handlers + 16 * v, v == 3 || v == 4 || v >= 0x30 ? 0xee : 0x8e);
    refresh();
}

void Guest::page_tables_64(u64 flags) {
    put(at::Tables, (at::Tables + 0x1000) | 7, 8);
    put(at::Tables + 0x1000, (at::Tables + 0x2000) | 7, 8);
    for (unsigned i = 0; i < 4; ++i) put(at::Tables + 0x2000 + 8 * i, (at::Tables + 0x3000 + 0x1000 * i) | 7, 8);
    for (unsigned i = 0; i < 2048; ++i) put(at::Tables + 0x3000 + 8 * i, i * u64{4096} | flags, 8);
    s().cr3 = at::Tables;
}

void Guest::page_tables_pae(u64 flags) {
    page_tables_64(flags);
    put(at::Tables + 0x1000, (at::Tables + 0x2000) | 1, 8);
    put(at::Tables + 0x1008, 0, 8), put(at::Tables + 0x1010, 0, 8), put(at::Tables + 0x1018, 0, 8);
    s().cr3 = at::Tables + 0x1000;
    s().cr4 |= cr4::PAE;
    s().cr0 |= cr0::PG;
    load_pdptes(s(), s().cr3);
    refresh();
}

void Guest::page_tables_32(u32 flags) {
    for (unsigned i = 0; i < 2; ++i) put(at::Tables + 4 * i, (at::Tables + 0x1000 + 0x1000 * i) | 7, 4);
    for (unsigned i = 0; i < 2048; ++i) put(at::Tables + 0x1000 + 4 * i, i * 4096 | flags, 4);
    s().cr3 = at::Tables;
    s().cr0 |= cr0::PG;
    refresh();
}
}  // namespace calque::test
