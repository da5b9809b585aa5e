// Snapshots: loaded, and what they make goes on for a while.
#include "tests/fuzz/machine.h"
#include "tests/fuzz/sections.h"
#include "tests/temp_folder.h"

namespace calque::fuzz {
namespace {
std::vector<Bytes> seeds() {
    std::vector<Bytes> out;
    const test::TempFolder folder;
    for (const char* guest : {"busy", "ticks", "echo"}) {
        FuzzMachine fuzz;
        if (!out.empty()) fuzz.embed(folder / "disk");
        auto m = fuzz.make(guest);
        m->run(30'000);
        if (!m->save(folder / "s")) std::abort();
        out.push_back(pack(folder / "s", kSnapshotMagic));
    }
    out.push_back(whole_file(folder / "s"));
    return out;
}

bool run(std::span<const u8> in) {
    MemoryFile file;
    unpack(in, kSnapshotMagic, file);
    FuzzMachine fuzz;
    auto m = Machine::load(file.path(), fuzz.config);
    if (!m) return false;
    if ((*m)->config().memory > 64 * kMiB) return true;   // takes its time to look at
    for (unsigned n = 0; n < 20; ++n) (*m)->run(1000);
    (void)(*m)->quick_hash();
    Frame frame;
    (*m)->render(frame);
    return true;
}
}  // namespace

const Target target{"snapshot", seeds, run};
}  // namespace calque::fuzz
