// Translation throughput: what each stage costs for one guest instruction. The guest code is this program's own text.
// Prints one JSON line a stage.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "cpu/helpers.h"
#include "cpu/lift/lift_block.h"
#include "jit/interp/interp.h"
#include "jit/opt/opt.h"

extern const char __executable_start, etext;

namespace {
using namespace calque;

const jit::HelperInfo kHelpers[] = {
#define HELPER(name, reads, writes, flags) {#name, nullptr, reads, writes, flags},
#include "cpu/helpers.inc"
#undef HELPER
};

struct Totals {
    u64 insns = 0, ir = 0, ir_after = 0;
};

// Works through the text in batches of blocks, whose memory is used again, as the engine does.
class Bench {
public:
    static constexpr unsigned kStages = 2 + jit::kPassCount;  // lift, prepare, passes
    Bench() {
        for (auto& s : slots_) s = {"", 0, jit::Type::I64};
        layout_.slots = slots_, layout_.slot_count = 64, layout_.helpers = kHelpers, layout_.helper_count = static_cast<u16>(Helper::count);
        layout_.fp_control = slot::mxcsr;
        const u64 first = (reinterpret_cast<u64>(&__executable_start) + 4095) & ~u64{4095};
        end_ = reinterpret_cast<u64>(&etext) & ~u64{4095};
        begin_ = std::max(first + 0x1000, end_ - 0x80000);  // the end of the image is code; its start holds tables
    }
    void round() {
        totals_ = {};
        std::fill(std::begin(ns_), std::end(ns_), 0.0);
        page_ = begin_, at_ = 0;
        while (page_ < end_) batch();
    }
    const Totals& totals() const { return totals_; }
    double ns(unsigned stage) const { return ns_[stage] / static_cast<double>(totals_.insns); }

private:
    using Clock = std::chrono::steady_clock;
    template <class F>
    void timed(unsigned stage, F f) {
        const auto start = Clock::now();
        f();
        ns_[stage] += std::chrono::duration<double, std::nano>(Clock::now() - start).count();
    }
    bool lift(jit::Block& b) {
        while (page_ < end_) {
            lift_block({page_ + at_, {mode::Code64 | mode::Protected, 0}, reinterpret_cast<const u8*>(page_), at_, 64, nullptr}, ~u64{0}, b);
            at_ += b.byte_count;
            const bool found = b.insn_count != 0;
            if (!found || at_ >= 4096) page_ += 4096, at_ = 0;
            if (found) return true;
        }
        return false;
    }
    void batch() {
        unsigned count = 0;
        timed(0, [&] {
            while (count < kBatch && lift(blocks_[count])) ++count;
        });
        for (unsigned n = 0; n < count; ++n) totals_.insns += blocks_[n].insn_count, totals_.ir += blocks_[n].code.size();
        timed(1, [&] {
            for (unsigned n = 0; n < count; ++n) bytes_ += jit::compile_for_interp(blocks_[n], layout_).bytes();
        });
        for (unsigned p = 0; p < jit::kPassCount; ++p)
            timed(2 + p, [&] {
                for (unsigned n = 0; n < count; ++n) jit::kPasses[p].run(blocks_[n], layout_);
            });
        for (unsigned n = 0; n < count; ++n) totals_.ir_after += blocks_[n].code.size();
    }

    static constexpr unsigned kBatch = 4;
    jit::SlotInfo slots_[64];
    jit::Layout layout_{};
    jit::Block blocks_[kBatch];
    u64 begin_ = 0, end_ = 0, page_ = 0;
    u32 at_ = 0;
    Totals totals_;
    double ns_[kStages]{};
    size_t bytes_ = 0;
};

constexpr unsigned kRounds = 7;

void report(const char* stage, std::vector<double>& ns) {
    std::sort(ns.begin(), ns.end());
    std::printf("{\"benchmark\":\"translation\",\"stage\":\"%s\",\"ns_per_insn\":%.2f,\"min\":%.2f,\"max\":%.2f}\n", stage, ns[ns.size() / 2], ns.front(),
                ns.back());
}
}  // namespace

int main() {
    static Bench bench;
    std::vector<double> stages[Bench::kStages], all;
    bench.round();
    for (unsigned n = 0; n < kRounds; ++n) {
        bench.round();
        double sum = 0;
        for (unsigned s = 0; s < Bench::kStages; ++s) {
            stages[s].push_back(bench.ns(s));
            if (s >= 2) sum += bench.ns(s);
        }
        all.push_back(sum);
    }
    report("lift", stages[0]);
    report("prepare_interpreter", stages[1]);
    for (unsigned p = 0; p < jit::kPassCount; ++p) report(jit::kPasses[p].name, stages[2 + p]);
    report("all_passes", all);
    const Totals& t = bench.totals();
    std::printf("{\"benchmark\":\"translation\",\"guest_insns\":%llu,\"ir_per_insn\":%.2f,\"ir_per_insn_after_passes\":%.2f}\n",
                static_cast<unsigned long long>(t.insns), static_cast<double>(t.ir) / static_cast<double>(t.insns),
                static_cast<double>(t.ir_after) / static_cast<double>(t.insns));
}
