// Snapshots and checkpoints of a real guest: bench_snapshot SNAPSHOT [ROUNDS]
// Prints how long it takes to load the snapshot and run the first instruction, to save it (what the guest would miss), and to make
// checkpoints every 10 million instructions, as under a debugger; medians, in the time on the wall and in that of the processor.
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "machine/machine.h"
#include "machine/replay/history.h"

namespace {
using namespace calque;

struct NoSink final : CharSink {
    void put(u8) override {}
};

double now(clockid_t clock) {
    timespec t{};
    ::clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

struct Times {
    std::vector<double> wall, cpu;
    template <class F>
    void add(F&& f) {
        const double w = now(CLOCK_MONOTONIC), c = now(CLOCK_PROCESS_CPUTIME_ID);
        f();
        wall.push_back(now(CLOCK_MONOTONIC) - w), cpu.push_back(now(CLOCK_PROCESS_CPUTIME_ID) - c);
    }
    void report(const char* what) {
        std::sort(wall.begin(), wall.end()), std::sort(cpu.begin(), cpu.end());
        const auto ms = [](double seconds) { return seconds * 1e3; };
        std::printf("{\"benchmark\":\"%s\",\"ms\":%.1f,\"min\":%.1f,\"max\":%.1f,\"cpu_ms\":%.1f,\"cpu_min\":%.1f,\"cpu_max\":%.1f,\"rounds\":%zu}\n", what,
                    ms(wall[wall.size() / 2]), ms(wall.front()), ms(wall.back()), ms(cpu[cpu.size() / 2]), ms(cpu.front()), ms(cpu.back()), wall.size());
        std::fflush(stdout);
    }
};

u64 size_of(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 ? static_cast<u64>(st.st_size) : 0;
}

int fail(const std::string& why) {
    std::fprintf(stderr, "bench_snapshot: %s\n", why.c_str());
    return 1;
}
}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return fail("give it a snapshot");
    const std::string snapshot = argv[1], copy = snapshot + ".again";
    const int rounds = argc > 2 ? std::max(std::atoi(argv[2]), 1) : 7;
    NoSink none;
    MachineConfig host;
    host.serial = {&none, &none, &none, &none}, host.parallel = {&none, &none, &none};
    std::unique_ptr<Machine> machine;
    Times load, save, checkpoint;
    for (int n = 0; n < rounds; ++n) {
        machine.reset();
        std::string error;
        load.add([&] {
            auto m = Machine::load(snapshot, host);
            if (!m) return void(error = m.error().message);
            machine = std::move(*m);
            machine->run(1);
        });
        if (!machine) return fail(error);
    }
    load.report("snapshot_load");
    for (int n = 0; n < rounds; ++n) {
        Result<void> saved;
        save.add([&] { saved = machine->save(copy); });
        if (!saved) return fail(saved.error().message);
    }
    save.report("snapshot_save");
    std::printf("{\"benchmark\":\"snapshot_file\",\"bytes\":%llu}\n", static_cast<unsigned long long>(size_of(copy)));
    ::unlink(copy.c_str());

    History history{*machine, nullptr, {.share = 1e9}};
    const double first = history.last_cost();
    u64 bytes = history.bytes();
    const u64 all = bytes;
    for (int n = 0; n < 10 * rounds; ++n) {
        const History::Place newest = history.place_of(history.checkpoints() - 1);
        while (history.place_of(history.checkpoints() - 1) == newest)
            if (const auto why = history.run(1'000'000); why == Machine::Stop::powered_off || why == Machine::Stop::halted)
                return fail("the guest in '" + snapshot + "' comes to an end; checkpoints need one that goes on");
        checkpoint.wall.push_back(history.last_cost()), checkpoint.cpu.push_back(history.last_cost());
    }
    bytes = history.bytes();
    checkpoint.report("checkpoint");
    std::printf("{\"benchmark\":\"checkpoint_bytes\",\"first_ms\":%.1f,\"first\":%llu,\"others\":%llu}\n", first * 1e3, static_cast<unsigned long long>(all),
                static_cast<unsigned long long>((bytes - all) / static_cast<u64>(10 * rounds)));
    return 0;
}
