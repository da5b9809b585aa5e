#include "frontend/exec/write.h"

#include <algorithm>

#include "frontend/exec/json_writer.h"
#include "machine/exec/compare.h"

namespace calque::exec {
namespace {

/// Parts of segment and table registers go by their full names: "ds.base".
void write_registers(JsonWriter& w, const std::vector<RegisterItem>& regs) {
    w.open('{');
    for (const RegisterItem& i : regs) w.field(i.reg->name, hex(i.value));
    w.close('}');
}

void write_memory(JsonWriter& w, const MemoryItem& m) { w.open('['), w.string(hex(m.address)), w.string(hex(m.bytes)), w.close(']'); }

void write_state(JsonWriter& w, const std::vector<RegisterItem>& regs, const std::vector<MemoryItem>& mem) {
    w.open('{');
    w.key("regs"), write_registers(w, regs);
    for (const bool physical : {true, false}) {
        if (std::none_of(mem.begin(), mem.end(), [&](const MemoryItem& m) { return m.physical == physical; })) continue;
        w.key(physical ? "phys" : "mem"), w.open('[');
        for (const MemoryItem& m : mem)
            if (m.physical == physical) write_memory(w, m);
        w.close(']');
    }
    w.close('}');
}

void write_warm(JsonWriter& w, const Case::Warm& warm) {
    w.open('{');
    const auto addresses = [&](const char* name, const std::vector<u64>& list) {
        if (list.empty()) return;
        w.key(name), w.open('[');
        for (const u64 at : list) w.string(hex(RegisterValue{at}));
        w.close(']');
    };
    addresses("data", warm.data), addresses("code", warm.code);
    if (!warm.stores.empty()) {
        w.key("stores"), w.open('[');
        for (const MemoryItem& m : warm.stores) write_memory(w, m);
        w.close(']');
    }
    addresses("invlpg", warm.invlpg);
    if (warm.cr3) w.key("cr3"), w.raw("true");
    w.close('}');
}
}  // namespace

std::string case_json(const Case& c) {
    JsonWriter w;
    w.open('{');
    if (!c.name.empty()) w.field("name", c.name);
    w.field("mode", kModeNames[static_cast<size_t>(c.mode)]);
    if (c.cpu != Case{}.cpu) w.field("cpu", c.cpu);
    if (c.cpl && c.mode != Mode::vm86) w.key("cpl"), w.raw(std::to_string(c.cpl));
    if (c.ram != kRam) w.key("ram"), w.raw(std::to_string(c.ram / kMiB));
    if (c.steps != 1) w.key("steps"), w.raw(std::to_string(c.steps));
    w.key("initial"), write_state(w, c.regs, c.mem);
    if (!c.warm.empty()) w.key("warm"), write_warm(w, c.warm);
    if (c.has_final) w.key("final"), write_state(w, c.final_regs, c.final_mem);
    if (c.exception) {
        w.key("exception"), w.open('{');
        w.key("vector"), w.raw(std::to_string(c.exception->vector));
        if (c.exception->error) w.field("error", hex(*c.exception->error));
        if (c.exception->cr2) w.field("cr2", hex(*c.exception->cr2));
        w.close('}');
    }
    if (!c.undefined.empty()) w.key("undefined"), write_registers(w, c.undefined);
    w.close('}');
    return std::move(w.out);
}
}  // namespace calque::exec
