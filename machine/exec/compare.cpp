#include "machine/exec/compare.h"

#include <algorithm>
#include <cstdio>

namespace calque::exec {
namespace {

/// Bits of the whole register that `r` names which may be anything.
RegisterValue undefined_bits(const Case& c, const Register& r) {
    RegisterValue u;
    for (const RegisterItem& i : c.undefined)
        if (i.reg->whole == r.whole)
            for (unsigned w = 0; w < 4; ++w) u.word[w] |= i.value.word[w] << i.reg->low >> r.low;
    return u;
}

bool same(const Case& c, const Register& r, const RegisterValue& a, const RegisterValue& b) {
    if (a == b) return true;
    const RegisterValue u = undefined_bits(c, r);
    for (unsigned w = 0; w < 4; ++w)
        if ((a.word[w] ^ b.word[w]) & ~u.word[w]) return false;
    return true;
}

void compare_exception(const Case& c, const Outcome& o, std::vector<Difference>& out) {
    const Case::Expected& e = *c.exception;
    if (o.end != Outcome::End::exception || o.last.vector != e.vector) {
        out.push_back({"exception", "vector " + std::to_string(e.vector), !o.exceptions ? "none" : describe(o.last) + (o.end == Outcome::End::exception ? "" : " (delivered)")});
        return;
    }
    const auto number = [&](const char* what, std::optional<u64> wanted, bool there, u64 is) {
        if (wanted && (!there || *wanted != is)) out.push_back({std::string{"exception."} + what, hex(*wanted), there ? hex(is) : "none"});
    };
    number("error", e.error, o.last.has_error, o.last.error);
    number("cr2", e.cr2, o.last.vector == 14, o.last.address);
}

std::string place(u64 address, bool physical = false) { return (physical ? "phys " : "mem ") + hex(address); }
}  // namespace

std::string hex(const RegisterValue& v) {
    char text[67];
    int n = 0;
    bool begun = false;
    for (unsigned w = 4; w-- > 0;) {
        if (!begun && !v.word[w] && w) continue;
        n += std::snprintf(text + n, sizeof text - static_cast<size_t>(n), begun ? "%016llx" : "0x%llx", static_cast<unsigned long long>(v.word[w]));
        begun = true;
    }
    return text;
}

std::string hex(std::span<const u8> bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string t;
    for (const u8 b : bytes) t += kDigits[b >> 4], t += kDigits[b & 15];
    return t;
}

std::string describe(const Exception& x) {
    std::string t = "vector " + std::to_string(x.vector);
    if (x.has_error) t += ", error " + hex(u64{x.error});
    if (x.vector == 14) t += ", cr2 " + hex(x.address);
    return t;
}

std::string describe(const Outcome& o) {
    switch (o.end) {
    case Outcome::End::steps: return "after its steps";
    case Outcome::End::halted: return "halted";
    case Outcome::End::shut_down: return "shut down by a triple fault after the exception " + describe(o.last);
    case Outcome::End::exception: return "stopped at the exception " + describe(o.last);
    case Outcome::End::endless: return "given up after too long";
    }
    return {};
}

Result<std::vector<Difference>> compare(const Case& c, Rig& rig, const Outcome& o) {
    std::vector<Difference> out;
    if (c.exception) compare_exception(c, o, out);
    const bool stopped = o.end == Outcome::End::exception && !c.exception;   // the host's processor cannot deliver
    if (c.expects() && (stopped || o.end == Outcome::End::shut_down || o.end == Outcome::End::endless)) out.push_back({"end", "after the steps, or halted", describe(o)});
    for (const RegisterItem& i : c.final_regs)
        if (const RegisterValue is = rig.value(*i.reg); !same(c, *i.reg, i.value, is)) out.push_back({i.reg->name, hex(i.value), hex(is)});
    std::vector<u8> bytes;
    for (size_t n = 0; n < c.final_mem.size(); ++n) {
        const MemoryItem& m = c.final_mem[n];
        bytes.resize(m.bytes.size());
        if (!rig.read(m.address, bytes, m.physical)) return Error{"final." + field(c.final_mem, n) + ": " + kOutside};
        if (bytes != m.bytes) out.push_back({place(m.address, m.physical), hex(m.bytes), hex(bytes)});
    }
    return out;
}

std::vector<Difference> compare_engines(const Case& c, Rig& a, const Outcome& ao, Rig& b, const Outcome& bo) {
    std::vector<Difference> out;
    if (ao.end != bo.end || ao.instructions != bo.instructions) {
        const auto end = [](const Outcome& o) { return std::to_string(o.instructions) + " instructions, " + describe(o); };
        out.push_back({"end", end(ao), end(bo)});
    }
    for (const Register* r : a.registers()) {
        const RegisterValue x = a.value(*r), y = b.value(*r);
        if (!same(c, *r, x, y)) out.push_back({r->name, hex(x), hex(y)});
    }
    const auto read = [](Rig& rig, const MemoryItem& m) { return hex(rig.physical_bytes(m.address, m.bytes.size())); };
    for (const MemoryItem& m : a.changed_memory())
        if (const std::string is = read(b, m); is != hex(m.bytes)) out.push_back({place(m.address), hex(m.bytes), is});
    const auto known = [&](const std::string& what) { return std::any_of(out.begin(), out.end(), [&](const Difference& d) { return d.what == what; }); };
    for (const MemoryItem& m : b.changed_memory())
        if (const std::string is = read(a, m); is != hex(m.bytes) && !known(place(m.address))) out.push_back({place(m.address), is, hex(m.bytes)});
    return out;
}
}  // namespace calque::exec
