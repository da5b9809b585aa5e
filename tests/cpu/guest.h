// A processor with a little memory, ready in a given mode, on each of the executors:
//     for (Engine e : engines()) { Guest g{e, Mode::protected32, "11 D8"}; g.rax = 1; g.step(); CHECK(...); }
//
// Memory: 8 MiB of RAM; a device page at D0000000h; code at 10000h, stack top at 20000h, data from 30000h on is free. GDT at 1000h,
// IDT at 2000h, IVT at 0, TSS at 5000h. The handler of vector v is an HLT at 4000h + 16 * v; the 8086 program's own IVT handlers are at
// 6000h + 16 * v.
#pragma once
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "cpu/apic.h"
#include "cpu/cpu.h"
#include "cpu/helpers.h"
#include "cpu/memory.h"
#include "cpu/mmu.h"
#include "cpu/model.h"

namespace calque::test {

enum class Engine { interp, jit };
inline std::vector<Engine> engines() { return jit::Engine::has_jit() ? std::vector{Engine::interp, Engine::jit} : std::vector{Engine::interp}; }

enum class Mode { real, vm86, protected16, protected32, long64, user32, user64 };

namespace at {
constexpr u32 Ivt = 0, Gdt = 0x1000, Idt = 0x2000, Handlers = 0x4000, Tss = 0x5000, OwnHandlers = 0x6000, Code = 0x10000, Stack = 0x20000,
              Stack0 = 0x28000, Data = 0x30000, Tables = 0x100000;
constexpr u64 Device = 0xd0000000;
}  // namespace at

namespace sel {
constexpr u16 Code32 = 0x08, Data32 = 0x10, Code16 = 0x18, Data16 = 0x20, Code64 = 0x28, UserCode32 = 0x33, UserData = 0x3b, UserCode64 = 0x43,
              Tss = 0x50, Free = 0x60;   // 0x60 and up: for the test
}

struct TestMemory final : PhysSpace {
    std::vector<u8> storage = std::vector<u8>(8 * kMiB + 4096);
    /// Pages of guest RAM are pages of the host, or no changed code would be found.
    std::span<u8> ram{storage.data() + (~reinterpret_cast<uintptr_t>(storage.data()) + 1) % 4096, 8 * kMiB};
    struct Access {
        u64 paddr, value;
        unsigned size;
        bool write;
        bool operator==(const Access&) const = default;
    };
    std::vector<Access> device;
    std::function<void()> on_device_write;
    u64 device_value = 0x1122334455667788;
    bool rom_low = false;   // the page at 70000h is ROM
    PhysPage page(u64 p) override {
        if (p + 4096 > ram.size()) return {};
        return {&ram[p], !(rom_low && p == 0x70000)};
    }
    u64 read(u64 p, unsigned size) override {
        device.push_back({p, 0, size, false});
        return size == 8 ? device_value : device_value & ((u64{1} << (8 * size)) - 1);
    }
    void write(u64 p, u64 v, unsigned size) override {
        device.push_back({p, v, size, true});
        if (on_device_write) on_device_write();
    }
};

struct TestPorts final : IoSpace {
    struct Access {
        u16 port;
        u32 value;
        unsigned size;
        Time when;
    };
    std::vector<Access> log;
    u32 next = 0xa0;
    Clock* clock = nullptr;
    std::function<void(u16, u32)> on_out;
    u32 in(u16 port, unsigned size) override {
        log.push_back({port, next, size, clock->now()});
        return next++;
    }
    void out(u16 port, u32 v, unsigned size) override {
        log.push_back({port, v, size, clock->now()});
        if (on_out) on_out(port, v);
    }
};

struct TestAck final : IntAck {
    u8 vector = 0x20;
    Line* intr = nullptr;
    bool hold = false;
    u8 acknowledge() override {
        if (intr && !hold) intr->lower();
        return vector;
    }
};

struct Edges final : EdgeLine {
    unsigned count = 0;
    void trigger() override { ++count; }
};

struct Guest {
    Guest(Engine e, Mode m, std::string_view hex, std::string_view model = "default");
    Guest(Engine e, Mode m, std::string_view hex, const CpuModel& model);

    // ---- running
    Cpu::Stop run(u64 n) { return cpu->run_until(cpu->icount() + n); }
    void step(u64 n = 1) { run(n); }
    /// The vector whose handler has run its HLT; -1 if none has.
    int vector() const;
    /// The same for an 8086 program's own handler.
    int own_vector() const;

    // ---- looking
    CpuState& s() { return cpu->state(); }
    u32 flags() { return read_eflags(s()); }
    void set_flags(u32 f) {
        write_eflags(s(), f);
        compute_mode(s());
    }
    u64 rip() { return s().x.rip; }
    u64 get(u64 paddr, unsigned size) const {
        u64 v = 0;
        for (unsigned i = 0; i < size; ++i) v |= u64{memory.ram[paddr + i]} << (8 * i);
        return v;
    }
    void put(u64 paddr, u64 v, unsigned size) {
        for (unsigned i = 0; i < size; ++i) memory.ram[paddr + i] = static_cast<u8>(v >> (8 * i));
        cpu->memory_changed(&memory.ram[paddr], size);
    }
    void code(std::string_view hex, u64 paddr = at::Code);
    /// The n-th word of `size` bytes on the stack.
    u64 stack(unsigned n, unsigned size) { return get((s().seg[SS].base + s().gpr[RSP] + n * size) & 0xffffff, size); }
    void descriptor(u16 selector, u32 base, u32 limit, u32 attr);   // attr as in Segment
    void gate(u8 vector, u16 selector, u32 offset, u8 type_dpl_p);
    /// Loads the state as the processor would, without running anything.
    void enter(Mode m);
    /// Identity-maps the first 8 MiB with 4-level, PAE or 32-bit tables at at::Tables; pages of 4 KiB with these flags.
    void page_tables_64(u64 flags = 7);
    void page_tables_pae(u64 flags = 7);
    void page_tables_32(u32 flags = 7);
    /// Address of the leaf entry of a linear address below 8 MiB in those tables.
    u64 leaf_64(u64 linear) const { return at::Tables + 0x3000 + (linear >> 12) * 8; }
    u64 leaf_32(u64 linear) const { return at::Tables + 0x1000 + (linear >> 12) * 4; }
    void refresh() {
        refresh_mode(s());
        paging_changed(s());
    }

    CpuModel model;
    Clock clock;
    TestMemory memory;
    TestPorts ports;
    TestAck ack;
    Wire smm;
    Edges ferr;
    std::unique_ptr<Cpu> cpu;
    u64 &rax, &rbx, &rcx, &rdx, &rsp, &rbp, &rsi, &rdi;

private:
    Guest(Engine e, const CpuModel& model);
};

}  // namespace calque::test
