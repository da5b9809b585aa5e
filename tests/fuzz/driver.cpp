// Runs a fuzz target without help from the compiler: its seeds, then mutations of them. A child process does it, so that what kills it can be
// told, kept and gone on from.
//
//     fuzz_NAME [--count N] [--seconds N] [--seed N] [--from N]     mutations; the same seed gives the same
//     fuzz_NAME FILE...                                             these inputs, in this process
//     fuzz_NAME --write FOLDER                                      the seeds, as files
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/mutate.h"

#if defined(__SANITIZE_ADDRESS__)
extern "C" const char* __asan_default_options() { return "abort_on_error=1:quarantine_size_mb=16:detect_leaks=0:allocator_may_return_null=1"; }
extern "C" const char* __ubsan_default_options() { return "halt_on_error=1:abort_on_error=1:print_stacktrace=1"; }
#endif

namespace calque::fuzz {
namespace {
constexpr unsigned kHang = 60;                    // seconds that one input may take, on a busy host
constexpr long kMostGrowth = 256 << 10;           // KiB, after the first tenth
constexpr u64 kWarm = 200, kMostFailures = 20;

struct Progress {   // shared with the child
    u64 number;
    long warm_kib;
};

Bytes input(const std::vector<Bytes>& seeds, u64 seed, u64 n) {
    if (n < seeds.size()) return seeds[n];
    return Mutator{seeds, seed * 0x9e3779b97f4a7c15 + n}.next();
}

long resident_kib() {
    std::ifstream in{"/proc/self/statm"};
    long all = 0, resident = 0;
    in >> all >> resident;
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/// The child's work. Does not return.
[[noreturn]] void work(const std::vector<Bytes>& seeds, u64 seed, u64 from, u64 end, std::chrono::steady_clock::time_point until, Progress& p) {
    for (u64 n = from; n < end && std::chrono::steady_clock::now() < until; ++n) {
        p.number = n;
        alarm(kHang);
        const bool good = target.run(input(seeds, seed, n));
        alarm(0);
        if (n < seeds.size() && !good) std::fprintf(stderr, "a seed is not good\n"), abort();
        if (n - from == kWarm) p.warm_kib = resident_kib();
        if (n - from > kWarm && n % 64 == 0 && resident_kib() - p.warm_kib > kMostGrowth) std::fprintf(stderr, "memory grows\n"), abort();
    }
    p.number = ~u64{0};
    _exit(0);
}

int fuzz(u64 seed, u64 from, u64 count, u64 seconds) {
    const std::vector<Bytes> seeds = target.seeds();
    void* const shared = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return std::perror("mmap"), 1;
    Progress& p = *static_cast<Progress*>(shared);
    const auto until = std::chrono::steady_clock::now() + (seconds ? std::chrono::seconds{seconds} : std::chrono::hours{24});
    const u64 end = seconds ? ~u64{0} : from + count;
    u64 failures = 0;
    for (u64 last = from;;) {
        std::fflush(nullptr);
        const pid_t child = fork();
        if (child < 0) return std::perror("fork"), 1;
        if (child == 0) work(seeds, seed, from, end, until, p);
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && p.number == ~u64{0}) break;
        last = p.number;
        const std::string file = std::string{"fuzz-"} + target.name + "-" + std::to_string(seed) + "-" + std::to_string(last) + ".bin";
        const Bytes bytes = input(seeds, seed, last);
        std::ofstream{file, std::ios::binary}.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        std::fprintf(stderr, "%s: input %" PRIu64 " of seed %" PRIu64 " %s %d; it is in %s\n", target.name, last, seed,
                     WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hangs: signal" : "ends it: status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), file.c_str());
        from = last + 1;
        if (++failures == kMostFailures) break;
    }
    std::printf("%s: %" PRIu64 " failures\n", target.name, failures);
    return failures != 0;
}

int run_files(int argc, char** argv) {
    for (int n = 1; n < argc; ++n) {
        std::ifstream in{argv[n], std::ios::binary};
        if (!in) return std::fprintf(stderr, "cannot read %s\n", argv[n]), 1;
        const std::string bytes{std::istreambuf_iterator<char>{in}, {}};
        target.run(bytes_of(bytes));
    }
    return 0;
}

int write_seeds(const std::string& folder) {
    size_t n = 0;
    for (const Bytes& b : target.seeds())
        std::ofstream{folder + "/seed-" + std::to_string(n++), std::ios::binary}.write(reinterpret_cast<const char*>(b.data()), static_cast<std::streamsize>(b.size()));
    return 0;
}
}  // namespace
}  // namespace calque::fuzz

int main(int argc, char** argv) {
    using namespace calque;
    if (argc > 1 && std::strncmp(argv[1], "--", 2) != 0) return fuzz::run_files(argc, argv);
    if (argc == 3 && !std::strcmp(argv[1], "--write")) return fuzz::write_seeds(argv[2]);
    u64 seed = 1, from = 0, count = 300, seconds = 0;
    for (int n = 1; n + 1 < argc; n += 2) {
        const std::string_view option = argv[n];
        u64* const to = option == "--seed" ? &seed : option == "--from" ? &from : option == "--count" ? &count : option == "--seconds" ? &seconds : nullptr;
        if (!to) return std::fprintf(stderr, "no option %s\n", argv[n]), 2;
        *to = std::strtoull(argv[n + 1], nullptr, 0);
    }
    return fuzz::fuzz(seed, from, count, seconds);
}
