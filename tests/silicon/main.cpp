// Runs instructions on the host's processor and on ours, and prints every difference.
//   silicon --encodings [--mode long64|flat32]
//   silicon --record DIR [--per-rule N] [--seed N]
//   silicon [--mode long64|flat32|prot32|prot16] [--executor direct|interp|jit] [--seed N] [--cases N] [--seconds N] [--rules NAME,NAME*,@vector,@integer] [--case SEED] [--counts] [--sequences] [--alignment] [--coverage FILE]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

#include "tests/silicon/compare.h"
#include "tests/silicon/encodings.h"
#include "tests/silicon/generate.h"
#include "tests/silicon/native.h"
#include "tests/silicon/ours.h"
#include "tests/silicon/record.h"
#include "tests/silicon/reproducer.h"

namespace calque::silicon {
namespace {

struct Options {
    CodeMode mode = CodeMode::long64;
    Executor executor = Executor::direct;  // sequences: interp
    u64 seed = 1, cases = 0, one_case = 0;
    double seconds = 10;
    std::string rules, coverage;
    std::string folder;   // where to record, and how much
    unsigned per_rule = 2;
    bool counts = false, trace = false, sequences = false, alignment = false, encodings = false;
    unsigned shown = 3;
};

struct Tally {
    u64 cases = 0, faults = 0, different = 0;
};

class Session {
public:
    explicit Session(const Options& o)
        : options_{o}, base_{7}, native_{o.mode, base_}, generator_{o.mode, host_features(), native_.fs_base(), base_, o.rules},
          ours_{o.mode, o.executor, base_, host_features(), native_.fs_base()}, results_{std::make_unique<Outcome[]>(Batch::size)} {
        generator_.alignment = o.alignment;
    }

    int run();

private:
    bool make(u64 seed, Case& c) const { return options_.sequences ? generator_.make_sequence(seed, c) : generator_.make(seed, c); }
    void fill(Batch&);
    void judge(Batch&);
    const Outcome& again(const Case&);
    void show(const Case&, const Outcome& native, const Outcome& ours, const Difference&);
    void print_totals(double seconds);
    void note_coverage();

    const Options options_;
    BaseImage base_;
    Native native_;
    Generator generator_;
    Ours ours_;
    std::unique_ptr<Outcome[]> results_;
    std::map<std::pair<Mn, bool>, Tally> tallies_;
    unsigned reproducers_ = 0;
    u64 next_ = 0, cases_ = 0, different_ = 0, own_ = 0;
};

void Session::fill(Batch& b) {
    b.count = 0;
    if (options_.one_case) {
        if (make(options_.one_case, b.in[0])) b.count = 1;
        return;
    }
    while (b.count < Batch::size)
        if (make(options_.seed << 32 | next_++, b.in[b.count])) ++b.count;
}

void Session::judge(Batch& b) {
    for (u32 i = 0; i < b.count; ++i) {
        const Case& c = b.in[i];
        Tally& t = tallies_[{c.in.mn, c.in.vex != 0}];
        ++cases_, ++t.cases;
        t.faults += b.out[i].vector != kNoFault;
        if (options_.trace)
            std::printf("%s %llx %x %llx %x\n", mnemonic_name(c.in.mn, c.in.vex), static_cast<unsigned long long>(c.gpr[RAX]), c.flags, static_cast<unsigned long long>(b.out[i].gpr[RAX]), b.out[i].flags);
        Difference d = compare(c, b.out[i], results_[i]);
        if (d.any()) d = compare(c, again(c), results_[i]);
        if (d.any() && hosts_own(c, b.out[i], results_[i])) {
            ++own_;
            continue;
        }
        if (d.any() || options_.one_case) {
            if (d.any()) ++different_, ++t.different;
            if (t.different <= options_.shown || options_.one_case) show(c, b.out[i], results_[i], d);
        }
    }
}

/// A difference must be there twice: where a context switch comes in between, AMD's processors lose the x87's pointers.
const Outcome& Session::again(const Case& c) {
    Batch& b = native_.batch(1);
    b.count = 1;
    b.in[0] = c;
    native_.start(1);
    native_.finish(1);
    return b.out[0];
}

void Session::show(const Case& c, const Outcome& native, const Outcome& ours, const Difference& d) {
    std::printf("%s --mode %s --executor %s %s%s --case 0x%llx\n%s", d.any() ? "DIFFERENT" : "same", mode_name(c.mode), executor_name(options_.executor),
                options_.sequences ? "--sequences" : "--rules ", options_.sequences ? "" : mnemonic_name(c.in.mn, c.in.vex), static_cast<unsigned long long>(c.seed),
                describe(c, native, ours).c_str());
    constexpr unsigned kMost = 20;
    if (d.any() && ++reproducers_ <= kMost) std::printf("  %s\n", write_reproducer(c, base_, options_.executor == Executor::jit).c_str());
}

void Session::print_totals(double seconds) {
    std::printf("%s on %s: %llu cases in %.1f s (%.0f/s), %zu rules, %llu different, %llu the host's own\n", mode_name(options_.mode), executor_name(options_.executor),
                static_cast<unsigned long long>(cases_), seconds, static_cast<double>(cases_) / seconds, tallies_.size(),
                static_cast<unsigned long long>(different_), static_cast<unsigned long long>(own_));
    for (const auto& [rule, t] : tallies_) {
        if (!options_.counts && !t.different) continue;
        std::printf("  %-12s %8llu cases %8llu faults %8llu different\n", mnemonic_name(rule.first, rule.second), static_cast<unsigned long long>(t.cases),
                    static_cast<unsigned long long>(t.faults), static_cast<unsigned long long>(t.different));
    }
}

/// For tests/coverage: rules that came, and in which nothing differed.
void Session::note_coverage() {
    std::FILE* out = std::fopen(options_.coverage.c_str(), "a");
    if (!out) return std::perror(options_.coverage.c_str());
    for (const auto& [rule, t] : tallies_)
        if (!t.different) std::fprintf(out, "%s %s %s\n", mode_name(options_.mode), executor_name(options_.executor), mnemonic_name(rule.first, rule.second));
    std::fclose(out);
}

int Session::run() {
    if (generator_.rules().empty()) return std::fprintf(stderr, "silicon: no such rule here\n"), 2;
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
    do {
        Batch& b = native_.batch(0);
        fill(b);
        if (!b.count) break;
        native_.start(0);
        for (u32 i = 0; i < b.count; ++i) ours_.run(b.in[i], results_[i]);
        if (!native_.finish(0)) {
            std::printf("the native side died or hung:\n%s", describe(b.in[b.running], {}, {}).c_str());
            std::printf("  --mode %s --case 0x%llx\n", mode_name(options_.mode), static_cast<unsigned long long>(b.in[b.running].seed));
            ++different_;
            if (options_.one_case) break;
            continue;
        }
        judge(b);
    } while (!options_.one_case && (options_.cases ? cases_ < options_.cases : elapsed() < options_.seconds));
    print_totals(elapsed());
    if (!options_.coverage.empty()) note_coverage();
    return different_ != 0;
}
}  // namespace
}  // namespace calque::silicon

int main(int argc, char** argv) {
    using namespace calque;
    using namespace calque::silicon;
    Options o;
    for (int i = 1; i < argc; ++i) {
        const std::string a = argv[i];
        const auto value = [&]() -> const char* { return i + 1 < argc ? argv[++i] : ""; };
        if (a == "--mode") {
            if (!parse_mode(value(), o.mode)) return std::fprintf(stderr, "silicon: unknown mode\n"), 2;
        } else if (a == "--executor") {
            if (!parse_executor(value(), o.executor)) return std::fprintf(stderr, "silicon: unknown executor\n"), 2;
        } else if (a == "--seed") o.seed = std::strtoull(value(), nullptr, 0);
        else if (a == "--cases") o.cases = std::strtoull(value(), nullptr, 0);
        else if (a == "--seconds") o.seconds = std::strtod(value(), nullptr);
        else if (a == "--rules") o.rules = value();
        else if (a == "--record") o.folder = value();
        else if (a == "--per-rule") o.per_rule = static_cast<unsigned>(std::strtoul(value(), nullptr, 0));
        else if (a == "--case") o.one_case = std::strtoull(value(), nullptr, 0);
        else if (a == "--show") o.shown = static_cast<unsigned>(std::strtoul(value(), nullptr, 0));
        else if (a == "--trace") o.trace = true;
        else if (a == "--sequences") o.sequences = true;
        else if (a == "--alignment") o.alignment = true;
        else if (a == "--coverage") o.coverage = value();
        else if (a == "--encodings") o.encodings = true;
        else if (a == "--counts") o.counts = true;
        else {
            std::fprintf(stderr, "silicon: unknown option %s\n", a.c_str());
            return 2;
        }
    }
    if (o.encodings) return walk_encodings(o.mode);
    if (!o.folder.empty()) return record(o.folder, o.per_rule, o.seed);
    if (o.sequences && o.executor == Executor::direct) o.executor = Executor::interp;
    return Session{o}.run();
}
