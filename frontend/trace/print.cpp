#include "frontend/trace/print.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "cpu/decode.h"
#include "frontend/exec/json_writer.h"

namespace calque::trace {
namespace {
using Kind = TraceRecord::Kind;
constexpr const char* kCauses[] = {"exception", "software interrupt", "interrupt"};
constexpr const char* kKinds[] = {"", "instruction", "read", "write", "in", "out", "delivery", ""};
constexpr size_t kWord = 8;   // longer ones are bytes in the order of memory

[[gnu::format(printf, 1, 2)]] std::string format(const char* fmt, ...) {
    char text[256];
    va_list values;
    va_start(values, fmt);
    std::vsnprintf(text, sizeof text, fmt, values);
    va_end(values);
    return text;
}

std::string hex(std::span<const u8> bytes, const char* between) {
    std::string out;
    for (const u8 b : bytes) out += (out.empty() ? "" : between) + format("%02x", b);
    return out;
}

/// As a number when it is short.
std::string value(std::span<const u8> bytes) {
    if (bytes.size() > kWord) return hex(bytes, "");
    std::string out;
    for (size_t i = bytes.size(); i; --i) out += format("%02x", bytes[i - 1]);
    return out;
}
}  // namespace

std::string Printer::disassembly(const TraceRecord& r) const {
    if (r.bytes.empty()) return "(not fetched)";
    const u32 bits = r.at.bits == 64 ? mode::Code64 : r.at.bits == 32 ? mode::Code32 : 0;
    return disassemble(r.bytes.data(), r.bytes.size(), r.at.rip(), {bits | mode::Protected, 0}, features_).text;
}

std::string Printer::text(const TraceRecord& r) {
    std::string out;
    if (!context_.same_context(r.at))
        out = format("-- ring %u  cr3 %" PRIx64 "  %u-bit code, cs %04x base %" PRIx64 "\n", r.at.ring, r.at.cr3, r.at.bits, r.at.cs, r.at.base);
    context_ = r.at;
    const std::string at = format("%12" PRIu64 "  %0*" PRIx64, r.at.count, r.at.bits == 64 ? 16 : 8, r.at.linear);
    if (r.kind == Kind::instruction) return out + at + format("  %-31s ", hex(r.bytes, " ").c_str()) + disassembly(r) + "\n";
    const char* const owner = r.system ? "  (system)" : "";
    switch (r.kind) {
    case Kind::read: return out + at + format("    read  %016" PRIx64 "  ", r.address) + value(r.bytes) + owner + "\n";
    case Kind::write: return out + at + format("    write %016" PRIx64 "  ", r.address) + value(r.bytes) + owner + "\n";
    case Kind::in: return out + at + format("    in    port %04" PRIx64 "  ", r.address) + value(r.bytes) + "\n";
    case Kind::out: return out + at + format("    out   port %04" PRIx64 "  ", r.address) + value(r.bytes) + "\n";
    default: break;
    }
    out += at + format("    %s %02x", kCauses[static_cast<unsigned>(r.cause)], r.vector);
    return out + (r.error ? format(" error %x\n", *r.error) : "\n");
}

std::string Printer::json(const TraceRecord& r) const {
    exec::JsonWriter w;
    w.open('{');
    const auto number = [&](const char* name, u64 v) { w.field(name, format("0x%" PRIx64, v)); };
    w.field("kind", kKinds[static_cast<unsigned>(r.kind)]);
    w.key("count"), w.raw(std::to_string(r.at.count));
    number("linear", r.at.linear), number("rip", r.at.rip()), number("cs", r.at.cs), number("cr3", r.at.cr3);
    w.key("ring"), w.raw(std::to_string(r.at.ring));
    w.key("bits"), w.raw(std::to_string(r.at.bits));
    switch (r.kind) {
    case Kind::instruction: w.field("bytes", hex(r.bytes, "")), w.field("text", disassembly(r)); break;
    case Kind::read:
    case Kind::write:
        number("address", r.address);
        w.field("bytes", hex(r.bytes, ""));
        w.key("system"), w.raw(r.system ? "true" : "false");
        break;
    case Kind::in:
    case Kind::out: number("port", r.address), w.field("bytes", hex(r.bytes, "")); break;
    default:
        w.field("cause", kCauses[static_cast<unsigned>(r.cause)]), number("vector", r.vector);
        if (r.error) number("error", *r.error);
    }
    w.close('}');
    return w.out + "\n";
}
}  // namespace calque::trace
