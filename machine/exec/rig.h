// A processor with a case's memory and nothing else around it.
#pragma once
#include <functional>
#include <memory>

#include "cpu/cpu.h"
#include "cpu/model.h"
#include "machine/exec/memory.h"

namespace calque::exec {

/// The instruction that comes next: selector, offset, bytes, text.
std::string next_instruction(Cpu&);

class Rig {
public:
    Rig(CpuModel, bool jit, const std::vector<std::string>& disable = {});

    /// Sets the state up. An error says which field of the case asks for what cannot be. The case must live until the rig's next one.
    Result<void> load(const Case&);
    /// The same with memory of somebody else's behind what the case has: pages come from there as they are touched.
    Result<void> load(const Case&, std::function<const u8*(u64 page)> memory);
    /// `trace` is told of each instruction before it runs.
    Outcome run(const Case&, const std::function<void(const std::string&)>& trace = {});

    Cpu& cpu() { return *cpu_; }
    Memory& memory() { return memory_; }
    const std::vector<const Register*>& registers() const { return registers_; }
    RegisterValue value(const Register& r) { return read_register(*cpu_, r); }
    /// Memory as a case names it: linear where paging is on. False: not in RAM.
    bool read(u64 address, std::span<u8> out, bool is_physical = false);
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
    void clear(u64 ram);
    void set_mode(const Case&);
    bool place(const MemoryItem&);
    Result<void> warm_up(const Case::Warm&);
    std::optional<u64> physical(u64 address, bool already = false);

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
