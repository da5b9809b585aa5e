// The stub's packets about registers and memory.
#include <algorithm>
#include <vector>

#include "frontend/gdb/stub.h"

namespace calque {
namespace {
constexpr const char* kNoMemory = "E14";   // EFAULT: GDB says "Cannot access memory at address"
constexpr size_t kMostBytes = GdbPackets::kMaxPacket / 2 - 64;

std::string_view text_of(const std::vector<u8>& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
std::span<const u8> bytes_of(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }
}  // namespace

bool GdbStub::Text::hex(u64& v) {
    v = 0;
    size_t n = 0;
    for (; n < rest_.size() && hex_digit(rest_[n]) >= 0; ++n) {
        if (v >> 60) return false;   // more than 64 bits
        v = v << 4 | static_cast<u64>(hex_digit(rest_[n]));
    }
    rest_.remove_prefix(n);
    return n > 0;
}

std::string_view GdbStub::Text::until(char c) {
    const size_t n = rest_.find(c);
    const std::string_view field = rest_.substr(0, n);
    rest_.remove_prefix(n == std::string_view::npos ? rest_.size() : n + 1);
    return field;
}

std::string_view GdbStub::Text::skip(size_t n) {
    const std::string_view field = rest_.substr(0, n);
    rest_.remove_prefix(field.size());
    return field;
}

// ---- registers

std::string GdbStub::register_hex(unsigned n) {
    std::vector<u8> bytes(target_.registers()[n].bytes());
    target_.read_register(cpu_, n, bytes);
    return to_hex(text_of(bytes));
}

void GdbStub::read_registers(Text&) {
    std::string all;
    for (unsigned n = 0; n < target_.registers().size(); ++n) all += register_hex(n);
    reply(all);
}

// Some registers have two names, so only those that differ are meant.
void GdbStub::write_registers(Text& t) {
    std::string bytes;
    if (!from_hex(t.rest(), bytes)) return wrong();
    size_t at = 0;
    for (unsigned n = 0; n < target_.registers().size() && at < bytes.size(); ++n) {
        const std::string_view value = std::string_view{bytes}.substr(at, target_.registers()[n].bytes());
        at += target_.registers()[n].bytes();
        if (to_hex(value) == register_hex(n)) continue;
        if (!put_register(n, value)) return;
    }
    ok();
}

/// Answers itself when it fails.
bool GdbStub::put_register(unsigned n, std::string_view bytes) {
    if (bytes.size() != target_.registers()[n].bytes()) return wrong(), false;
    if (auto r = target_.write_register(cpu_, n, bytes_of(bytes)); !r) return error(r.error().message), false;
    return true;
}

void GdbStub::read_register(Text& t) {
    u64 n;
    if (!t.hex(n) || !t.done() || n >= target_.registers().size()) return error("there is no such register");
    reply(register_hex(static_cast<unsigned>(n)));
}

void GdbStub::write_register(Text& t) {
    u64 n;
    std::string bytes;
    if (!t.hex(n) || !t.take('=') || !from_hex(t.rest(), bytes)) return wrong();
    if (n >= target_.registers().size()) return error("there is no such register");
    if (put_register(static_cast<unsigned>(n), bytes)) ok();
}

// ---- memory

/// ADDRESS,LENGTH
bool GdbStub::range(Text& t, u64& address, u64& length) { return t.hex(address) && t.take(',') && t.hex(length); }

void GdbStub::read_memory(Text& t) {
    u64 address, length;
    if (!range(t, address, length) || !t.done()) return wrong();
    std::vector<u8> bytes(std::min<u64>(length, kMostBytes));
    bytes.resize(target_.read_memory(cpu_, address, bytes));
    bytes.empty() && length ? reply(kNoMemory) : reply(to_hex(text_of(bytes)));
}

void GdbStub::read_memory_binary(Text& t) {
    u64 address, length;
    if (!range(t, address, length) || !t.done()) return wrong();
    std::vector<u8> bytes(std::min<u64>(length, kMostBytes));
    bytes.resize(target_.read_memory(cpu_, address, bytes));
    bytes.empty() && length ? reply(kNoMemory) : reply(std::string{"b"}.append(text_of(bytes)));
}

void GdbStub::write_memory(Text& t) {
    u64 address, length;
    std::string bytes;
    if (!range(t, address, length) || !t.take(':') || !from_hex(t.rest(), bytes) || bytes.size() != length) return wrong();
    store(address, bytes);
}

void GdbStub::write_memory_binary(Text& t) {
    u64 address, length;
    if (!range(t, address, length) || !t.take(':') || t.rest().size() != length) return wrong();
    store(address, t.rest());
}

void GdbStub::store(u64 address, std::string_view bytes) {
    bytes.empty() || target_.write_memory(cpu_, address, bytes_of(bytes)) ? ok() : reply(kNoMemory);
}
}  // namespace calque
