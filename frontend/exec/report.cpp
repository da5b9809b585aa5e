#include "frontend/exec/report.h"

#include "frontend/exec/json_writer.h"
#include "machine/debug.h"

namespace calque::exec {
namespace {

/// A dot in a name makes it a part of an object: "cs.base". A plain name that has such parts becomes their "sel".
void write_registers(JsonWriter& w, Rig& rig) {
    std::string_view open;   // the object that is being written
    w.open('{');
    for (const Register* r : rig.registers()) {
        const std::string_view name = r->name, stem = name.substr(0, name.find('.'));
        const bool part = stem.size() != name.size(), object = part || find_register(r->name + ".base");
        if (!open.empty() && stem != open) w.close('}'), open = {};
        if (object && open.empty()) w.key(stem), w.open('{'), open = stem;
        w.field(part ? name.substr(stem.size() + 1) : object ? "sel" : name, hex(rig.value(*r)));
    }
    w.close('}');
}

void write_state(JsonWriter& w, Rig& rig) {
    w.open('{');
    w.key("regs"), write_registers(w, rig);
    w.key("mem"), w.open('[');
    for (const MemoryItem& m : rig.changed_memory()) w.open('['), w.string(hex(m.address)), w.string(hex(m.bytes)), w.close(']');
    w.close(']');
    w.close('}');
}

void write_exception(JsonWriter& w, const Exception& x) {
    w.open('{');
    w.key("vector"), w.raw(std::to_string(x.vector));
    if (x.has_error) w.field("error", hex(u64{x.error}));
    if (x.vector == 14) w.field("cr2", hex(x.address));
    w.close('}');
}

const char* end_name(Outcome::End e) {
    switch (e) {
    case Outcome::End::steps: return "steps";
    case Outcome::End::halted: return "halted";
    case Outcome::End::shut_down: return "shutdown";
    case Outcome::End::exception: return "exception";
    case Outcome::End::endless: return "endless";
    }
    return "";
}

std::string title(const Place& p, const Case& c) { return p.text() + ": " + (c.name.empty() ? "case" : c.name); }

std::string instructions(u64 n) { return std::to_string(n) + (n == 1 ? " instruction" : " instructions"); }
}  // namespace

std::string json_report(const Case& c, const Verdict& v, Rig& rig) {
    JsonWriter w;
    w.open('{');
    w.field("name", c.name);
    w.key("pass"), w.raw(v.pass() ? "true" : "false");
    w.key("differences"), w.open('[');
    for (const auto& [engine, d] : v.differences) {
        w.open('{');
        w.field("engine", kEngineNames[static_cast<size_t>(engine)]), w.field("what", d.what), w.field("expected", d.expected), w.field("actual", d.actual);
        w.close('}');
    }
    w.close(']');
    w.key("final"), write_state(w, rig);
    w.key("instructions"), w.raw(std::to_string(v.outcome.instructions));
    w.field("end", end_name(v.outcome.end));
    if (v.outcome.exceptions) w.key("exception"), write_exception(w, v.outcome.last);
    w.close('}');
    return w.out += '\n';
}

std::string json_report_unusable(const Case& c, const std::string& error) {
    JsonWriter w;
    w.open('{');
    w.field("name", c.name);
    w.key("pass"), w.raw("false");
    w.field("error", error);
    w.close('}');
    return w.out += '\n';
}

std::string text_report(const Place& p, const Case& c, const Verdict& v) {
    std::string t;
    if (v.pass()) return t;
    t = title(p, c) + " differs\n";
    for (const auto& [engine, d] : v.differences)
        t += std::string{"  "} + kEngineNames[static_cast<size_t>(engine)] + ": " + d.what + " is " + d.actual + ", expected " + d.expected + "\n";
    return t;
}

std::string text_state(const Place& p, const Case& c, const Verdict& v, Rig& rig) {
    std::string t = title(p, c) + ": " + instructions(v.outcome.instructions) + ", " + describe(v.outcome) + "\n" + register_text(rig.cpu().state());
    for (const MemoryItem& m : rig.changed_memory()) t += "mem " + hex(m.address) + ": " + hex(m.bytes) + "\n";
    return t;
}
}  // namespace calque::exec
