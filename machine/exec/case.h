// One case of a reproducer file: a state to start from, instructions to run, and what is expected of them. docs/reproducers.md has the format.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cpu/registers.h"
#include "cpu/state.h"

namespace calque::exec {

constexpr u64 kRam = 16 * kMiB;      // of a case that says nothing of it
constexpr u64 kMostRam = 4 * kGiB;
constexpr u64 kMostSteps = 100'000'000;
constexpr const char kOutside[] = "it is outside of the case's memory";

enum class Mode : u8 { real16, vm86, protected16, protected32, compat32, long64 };
constexpr const char* kModeNames[] = {"real16", "vm86", "protected16", "protected32", "compat32", "long64"};

struct RegisterItem {
    const Register* reg;
    RegisterValue value;
};
struct MemoryItem {
    u64 address;   // linear where paging is on, else physical
    std::vector<u8> bytes;
    bool physical = false;   // always
};

/// The name of its field: "mem[2]", "phys[0]".
inline std::string field(const std::vector<MemoryItem>& list, size_t n) {
    size_t place = 0;
    for (size_t i = 0; i < n; ++i) place += list[i].physical == list[n].physical;
    return (list[n].physical ? "phys[" : "mem[") + std::to_string(place) + "]";
}

struct Case {
    std::string name, cpu = "default";   // --cpu's model
    Mode mode = Mode::long64;
    unsigned cpl = 0;
    u64 steps = 1, ram = kRam;
    std::vector<RegisterItem> regs;
    std::vector<MemoryItem> mem;
    /// What has happened when the first step begins, so that caches hold something: pages have been walked for, blocks have been translated, then
    /// there have been stores, and INVLPG of pages or a MOV to CR3 of its value.
    struct Warm {
        std::vector<u64> data, code;     // linear addresses
        std::vector<MemoryItem> stores;  // physical
        std::vector<u64> invlpg;         // linear
        bool cr3 = false;
        bool empty() const { return data.empty() && code.empty() && stores.empty() && invlpg.empty() && !cr3; }
    } warm;

    // ---- what is expected; nothing: the state is printed
    bool has_final = false;
    std::vector<RegisterItem> final_regs;
    std::vector<MemoryItem> final_mem;
    std::vector<RegisterItem> undefined;   // bits that may be anything
    struct Expected {
        u8 vector;
        std::optional<u64> error, cr2;
    };
    std::optional<Expected> exception;
    bool expects() const { return has_final || exception; }
};

/// How a run ended. The state is the rig's until its next case.
struct Outcome {
    enum class End : u8 { steps, halted, shut_down, exception, endless } end = End::steps;
    u64 instructions = 0;
    u64 exceptions = 0;   // delivered, or stopped at
    Exception last;       // of them
};
}  // namespace calque::exec
