// Names of guest functions: from System.map, /proc/kallsyms or an ELF file.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "support/result.h"
#include "support/types.h"

namespace calque {

class Symbols {
public:
    /// Adds what the file has, moved by `offset`.
    Result<void> load(const std::string& path, u64 offset);
    void sort();   // after the last load()
    struct Found {
        const std::string& name;
        u64 offset;   // of the address, from the function's beginning
    };
    std::optional<Found> find(u64 address) const;
    bool empty() const { return all_.empty(); }

private:
    static constexpr u64 kUnknownSize = 1 << 20;   // no function is longer
    struct Symbol {
        u64 address, size;   // 0: up to the next
        std::string name;
    };
    bool read_map(const std::string& bytes, u64 offset);
    bool read_elf(const std::string& bytes, u64 offset);
    std::vector<Symbol> all_;
};
}  // namespace calque
