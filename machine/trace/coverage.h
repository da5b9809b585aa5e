// Which guest code has run, as DynamoRIO's drcov writes it (docs/tracing.md).
//
// A block counts from when it is lifted, which happens because the processor has come to its beginning; so coverage costs nothing after that.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cpu/observer.h"
#include "machine/snapshot/new_file.h"
#include "machine/trace/coverage_module.h"
#include "support/result.h"

namespace calque {

class Coverage final : public Observer {
public:
    static constexpr size_t kMost = 4u << 20;   // blocks that are kept
    /// The file has its name only after finish(). Code outside of `modules` belongs to one module for each 4 GiB.
    static Result<std::unique_ptr<Coverage>> start(const std::string& path, std::vector<CoverageModule> modules);
    Result<void> finish();

    u64 attend(u64) override { return ~u64{0}; }
    void lifted(u64 code, unsigned bytes) override;

private:
    struct Block {
        u64 code;
        u16 bytes;
        auto operator<=>(const Block&) const = default;
    };
    Coverage(std::string path, std::unique_ptr<NewFile> file, std::vector<CoverageModule> modules)
        : path_{std::move(path)}, file_{std::move(file)}, modules_{std::move(modules)} {}
    void tidy();
    size_t module_of(u64 code);
    std::string text();

    std::string path_;
    std::unique_ptr<NewFile> file_;
    std::vector<CoverageModule> modules_;
    size_t named_ = modules_.size();
    std::vector<Block> blocks_;
    size_t tidied_ = 0;
    bool full_ = false;
};
}  // namespace calque
