// Runs cases on our executors, on a processor in user mode with the same memory around it.
#pragma once
#include <memory>

#include "tests/silicon/case.h"

namespace calque::silicon {

/// direct: the instruction lifted by itself and interpreted, without the engine. interp, jit: the engine's tiers.
enum class Executor : u8 { direct, interp, jit };
const char* executor_name(Executor);
bool parse_executor(const std::string&, Executor&);

class Ours {
public:
    Ours(CodeMode, Executor, const BaseImage&, const IsaSet& features, u64 fs_base);
    ~Ours();
    void run(const Case&, Outcome&);

private:
    struct Rig;
    std::unique_ptr<Rig> rig_;
};
}  // namespace calque::silicon
