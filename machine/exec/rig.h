// A processor with a case's memory and nothing else around it.
#pragma once
#include <functional>
#include <memory>

#include "cpu/cpu.h"
#include "cpu/model.h"
#include "machine/exec/memory.h"

namespace calque::exec {

class Rig {
public:
    Rig(CpuModel, bool jit);

    /// Sets the state up. An error says which field of the case asks for what cannot be. The case must live until the rig's next one.
    Result<void> load(const Case&);
    /// `trace` is told of each instruction before it runs.
    Outcome run(const Case&, const std::function<void(const std::string&)>& trace = {});

    Cpu& cpu() { return *cpu_; }
    Memory& memory() { return memory_; }
    const std::vector<const Register*>& registers() const { return registers_; }
    RegisterValue value(const Register& r) { return read_register(*cpu_, r); }
    /// Memory as a case names it: linear where paging is on. False: not in RAM.
    bool read(u64 address, std::span<u8> out);
    /// What differs from the start, by physical address; page tables of ours excepted.
    std::vector<MemoryItem> changed_memory();
    std::span<const u8> physical_bytes(u64 address, size_t size) const { return {memory_.host(address), size}; }

private:
    struct NoPorts final : IoSpace {   // nobody answers
        u32 in(u16, unsigned size) override { return size == 4 ? ~0u : (1u << 8 * size) - 1; }
        void out(u16, u32, unsigned) override {}
    };
    struct NoInterrupts final : IntAck {
        u8 acknowledge() override { return 0xff; }
    };
    struct Placed {
        u64 physical;
        std::span<const u8> bytes;
    };
    void clear();
    void set_mode(const Case&);
    bool place(const MemoryItem&);
    std::optional<u64> physical(u64 address);
    std::string current_instruction();

    const CpuModel model_;
    Memory memory_;
    NoPorts ports_;
    NoInterrupts ack_;
    Clock clock_;
    std::unique_ptr<Cpu> cpu_;
    const u64 random_;   // what RDRAND begins with
    const std::vector<const Register*> registers_;
    std::vector<Placed> placed_;
};
}  // namespace calque::exec
