// Trace files, as calque trace reads and prints them.
#include <cstdlib>

#include "cpu/model.h"
#include "frontend/trace/print.h"
#include "machine/trace/reader.h"
#include "machine/trace/tracer.h"
#include "tests/fuzz/machine.h"
#include "tests/fuzz/sections.h"
#include "tests/temp_folder.h"

namespace calque::fuzz {
namespace {
std::vector<Bytes> seeds() {
    std::vector<Bytes> out;
    const test::TempFolder folder;
    for (const char* guest : {"busy", "ticks", "stale"}) {
        FuzzMachine fuzz;
        auto m = fuzz.make(guest);
        auto t = Tracer::start(m->cpu(), folder / "t", {}, "");
        if (!t) std::abort();
        m->cpu().set_observer(t->get());
        for (unsigned n = 0; n < 3; ++n) m->run(200), (void)(*t)->flush();
        m->cpu().set_observer(nullptr);
        if (!(*t)->finish()) std::abort();
        out.push_back(pack(folder / "t", kTraceMagic));
    }
    out.push_back(whole_file(folder / "t"));
    return out;
}

bool run(std::span<const u8> in) {
    MemoryFile file;
    unpack(in, kTraceMagic, file);
    auto reader = TraceReader::open(file.path());
    if (!reader) return false;
    const auto model = parse_cpu_model((*reader)->cpu());
    static const auto max = parse_cpu_model("max");
    trace::Printer printer{model ? model->features : max->features};
    size_t records = 0;
    const auto read = (*reader)->read({}, [&](const TraceRecord& r) {
        (void)printer.text(r), (void)printer.json(r);
        return ++records < 5000;
    });
    return read && records;
}
}  // namespace

const Target target{"trace", seeds, run};
}  // namespace calque::fuzz
