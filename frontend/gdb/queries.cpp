// The stub's general queries (GDB manual, "General Query Packets", "Target Descriptions", "Memory Map Format", "Thread List Format").
#include <cstdio>

#include "frontend/gdb/stub.h"

namespace calque {
namespace {
std::string thread_id(unsigned cpu) {
    char text[16];
    std::snprintf(text, sizeof text, "%x", cpu + 1);   // 0 and -1 mean "any" and "all"
    return text;
}
}  // namespace

void GdbStub::supported(Text& t) {
    tells_breakpoints_ = t.rest().find("swbreak+") != std::string_view::npos;
    char size[40];
    std::snprintf(size, sizeof size, "PacketSize=%zx", GdbPackets::kMaxPacket);
    reply(std::string{size} + ";qXfer:features:read+;qXfer:memory-map:read+;qXfer:threads:read+;QStartNoAckMode+;QNonStop+;swbreak+;hwbreak+;"
          "vContSupported+;ConditionalBreakpoints+;binary-upload+" + (target_.can_reverse() ? ";ReverseStep+;ReverseContinue+" : ""));
}

void GdbStub::no_ack(Text&) {
    ok();
    packets_.stop_acknowledging();
}

void GdbStub::non_stop(Text& t) {
    const bool on = t.take('1');
    if (!on && !t.take('0')) return wrong();
    non_stop_ = on;
    ok();
}

// OBJECT:read:ANNEX:OFFSET,LENGTH. What is sent in pieces is made once.
void GdbStub::transfer(Text& t) {
    const std::string object{t.until(':')};
    if (t.until(':') != "read") return reply("");
    const std::string annex{t.until(':')};
    u64 offset, length;
    if (!range(t, offset, length) || !t.done()) return wrong();
    if (offset == 0 || object_name_ != object) {
        object_name_ = object;
        if (object == "features" && annex == "target.xml") object_ = target_.description();
        else if (object == "memory-map" && annex.empty()) object_ = target_.memory_map();
        else if (object == "threads" && annex.empty()) object_ = threads();
        else return object_name_.clear(), reply("E00");   // no such annex
    }
    if (offset > object_.size()) return wrong();
    const std::string piece = object_.substr(offset, std::min<u64>(length, GdbPackets::kMaxPacket / 2));
    reply((offset + piece.size() == object_.size() ? "l" : "m") + piece);
}

std::string GdbStub::threads() {
    std::string xml = "<?xml version=\"1.0\"?>\n<threads>\n";
    for (unsigned n = 0; n < target_.cpus(); ++n)
        xml += "<thread id=\"" + thread_id(n) + "\" core=\"" + std::to_string(n) + "\" name=\"CPU " + std::to_string(n) + "\">" +
               target_.cpu_state(n) + "</thread>\n";
    return xml + "</threads>\n";
}

void GdbStub::attached(Text&) { reply("1"); }

void GdbStub::current_thread(Text& t) { reply(t.done() ? "QC" + thread_id(cpu_) : ""); }

void GdbStub::first_threads(Text&) {
    std::string list = "m";
    for (unsigned n = 0; n < target_.cpus(); ++n) list.append(n ? "," : "").append(thread_id(n));
    reply(list);
}

void GdbStub::no_more_threads(Text&) { reply("l"); }

/// The processor that a thread's number names; the current one for "any" and "all".
unsigned GdbStub::cpu_of(Text& t, bool& known) {
    known = true;
    u64 id;
    if (t.take('-') || !t.hex(id) || id == 0) return cpu_;
    known = id <= target_.cpus();
    return known ? static_cast<unsigned>(id - 1) : 0;
}

void GdbStub::thread_info(Text& t) {
    bool known;
    const unsigned n = cpu_of(t, known);
    known ? reply(to_hex(target_.cpu_state(n))) : wrong();
}

void GdbStub::thread_alive(Text& t) {
    bool known;
    cpu_of(t, known);
    known ? ok() : error("there is no such processor");
}

void GdbStub::choose_thread(Text& t) {
    const bool registers = t.take('g');
    if (!registers && !t.take('c')) return wrong();
    bool known;
    const unsigned n = cpu_of(t, known);
    if (!known) return error("there is no such processor");
    if (registers) cpu_ = n;
    ok();
}

void GdbStub::monitor(Text& t) {
    std::string line;
    if (!from_hex(t.rest(), line)) return wrong();
    const std::string answer = target_.monitor(line);
    constexpr size_t kPiece = GdbPackets::kMaxPacket / 4;
    for (size_t at = 0; at < answer.size(); at += kPiece) reply(std::string{"O"}.append(to_hex(std::string_view{answer}.substr(at, kPiece))));
    ok();
}
}  // namespace calque
