// Runs cases on the host's own processor, in a child process, so that nothing a case does can hurt the comparing one.
#pragma once
#include <span>

#include "tests/silicon/case.h"

namespace calque::silicon {

struct Batch {
    static constexpr u32 size = 256;
    u32 count = 0;
    u32 running = 0;       // the case that the child is at
    Case in[size];
    Outcome out[size];
};

class Native {
public:
    Native(CodeMode, const BaseImage&);
    ~Native();
    Native(const Native&) = delete;

    static constexpr unsigned batches = 2;
    Batch& batch(unsigned n) { return shared_[n]; }
    /// Starts the child on a batch; the caller must not touch it until finish().
    void start(unsigned n);
    /// Waits for it. False when the child died or hung at case `running` (a new child has been made).
    bool finish(unsigned n);
    u64 fs_base() const { return fs_base_; }

private:
    void spawn();
    const CodeMode mode_;
    const BaseImage& base_;
    Batch* shared_;
    int child_ = -1, to_ = -1, from_ = -1;
    u64 fs_base_ = 0;
};
}  // namespace calque::silicon
