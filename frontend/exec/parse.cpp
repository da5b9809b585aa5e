#include "frontend/exec/parse.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace calque::exec {
namespace {

using Json = nlohmann::ordered_json;

/// What is wrong with a field.
struct Fault {
    std::string field, why;
};

std::string join(const std::string& path, std::string_view key) { return path.empty() ? std::string{key} : path + "." + std::string{key}; }
std::string element(const std::string& path, size_t n) { return path + "[" + std::to_string(n) + "]"; }

/// For messages: what stands there, shortened.
std::string shown(std::string_view s) { return "'" + std::string{s.substr(0, 40)} + (s.size() > 40 ? "...'" : "'"); }

int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

/// A hex string, or a number, of at most `bits`.
RegisterValue number(const Json& j, unsigned bits, const std::string& field) {
    RegisterValue v;
    if (j.is_number_unsigned()) {
        v.word[0] = j.get<u64>();
    } else if (j.is_string()) {
        std::string_view s = j.get_ref<const std::string&>();
        const std::string_view whole = s;
        if (s.starts_with("0x") || s.starts_with("0X")) s.remove_prefix(2);
        if (s.empty()) throw Fault{field, shown(whole) + " is no hexadecimal number"};
        unsigned at = 0;
        for (size_t i = s.size(); i-- > 0; ++at) {
            const int d = digit(s[i]);
            if (d < 0) throw Fault{field, shown(whole) + " is no hexadecimal number"};
            if (d && at >= 64) throw Fault{field, shown(whole) + " does not fit into " + std::to_string(bits) + " bits"};
            if (at < 64) v.word[at / 16] |= static_cast<u64>(d) << (4 * (at % 16));
        }
    } else {
        throw Fault{field, "a hexadecimal string is expected"};
    }
    for (unsigned w = 0; w < 4; ++w) {
        const unsigned here = bits > 64 * w ? std::min(bits - 64 * w, 64u) : 0;
        if (here < 64 && v.word[w] >> here) throw Fault{field, "the value does not fit into " + std::to_string(bits) + " bits"};
    }
    return v;
}

u64 word(const Json& j, unsigned bits, const std::string& field) { return number(j, bits, field).word[0]; }

const Json& object(const Json& j, const std::string& field) {
    if (!j.is_object()) throw Fault{field, "an object is expected"};
    return j;
}
const std::string& text(const Json& j, const std::string& field) {
    if (!j.is_string()) throw Fault{field, "a string is expected"};
    return j.get_ref<const std::string&>();
}

/// {"sel", "base", "limit", "attr"} of a segment register, {"base", "limit"} of a table register.
void parts(const std::string& name, const Json& j, const std::string& field, std::vector<RegisterItem>& out) {
    if (!find_register(name + ".base")) throw Fault{field, find_register(name) ? "a hexadecimal string is expected" : "there is no such register"};
    for (const auto& [key, value] : j.items()) {
        const Register* r = find_register(key == "sel" ? name : name + "." + key);
        if (!r) throw Fault{join(field, key), "a segment register has sel, base, limit and attr, a table register base and limit"};
        out.push_back({r, number(value, r->bits, join(field, key))});
    }
}

void registers_of(const Json& j, const std::string& field, std::vector<RegisterItem>& out) {
    for (const auto& [name, value] : object(j, field).items()) {
        if (value.is_object()) {
            parts(name, value, join(field, name), out);
            continue;
        }
        const Register* r = find_register(name);
        if (!r) throw Fault{join(field, name), find_register(name + ".base") ? "an object with base and limit is expected" : "there is no such register"};
        out.push_back({r, number(value, r->bits, join(field, name))});
    }
    // As they must be written: registers() has them in this order.
    std::sort(out.begin(), out.end(), [](const RegisterItem& a, const RegisterItem& b) { return a.reg < b.reg; });
}

std::vector<u8> bytes_of(const std::string& hex, const std::string& field) {
    if (hex.size() % 2) throw Fault{field, "bytes have two hexadecimal digits each"};
    std::vector<u8> out(hex.size() / 2);
    for (size_t i = 0; i < out.size(); ++i) {
        const int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) throw Fault{field, shown(hex) + " are no hexadecimal bytes"};
        out[i] = static_cast<u8>(high << 4 | low);
    }
    return out;
}

void memory_of(const Json& j, const std::string& field, bool physical, std::vector<MemoryItem>& out) {
    if (!j.is_array()) throw Fault{field, "an array is expected"};
    for (size_t n = 0; n < j.size(); ++n) {
        const std::string here = element(field, n);
        if (!j[n].is_array() || j[n].size() != 2) throw Fault{here, "[\"ADDRESS\", \"BYTES\"] is expected"};
        out.push_back({word(j[n][0], 64, element(here, 0)), bytes_of(text(j[n][1], element(here, 1)), element(here, 1)), physical});
    }
}

void state(const Json& j, const std::string& field, std::vector<RegisterItem>& regs, std::vector<MemoryItem>& mem) {
    for (const auto& [key, value] : object(j, field).items()) {
        if (key == "regs") registers_of(value, join(field, key), regs);
        else if (key == "mem" || key == "phys") memory_of(value, join(field, key), key == "phys", mem);
        else throw Fault{join(field, key), "a state has regs, phys and mem"};
    }
}

std::vector<u64> addresses(const Json& j, const std::string& field) {
    if (!j.is_array()) throw Fault{field, "an array is expected"};
    std::vector<u64> out;
    for (size_t n = 0; n < j.size(); ++n) out.push_back(word(j[n], 64, element(field, n)));
    return out;
}

void warm(const Json& j, const std::string& field, Case::Warm& to) {
    for (const auto& [key, value] : object(j, field).items()) {
        if (key == "code") to.code = addresses(value, join(field, key));
        else if (key == "data") to.data = addresses(value, join(field, key));
        else if (key == "stores") memory_of(value, join(field, key), true, to.stores);
        else if (key == "invlpg") to.invlpg = addresses(value, join(field, key));
        else if (key == "cr3" && value.is_boolean()) to.cr3 = value.get<bool>();
        else throw Fault{join(field, key), "there are data, code, stores, invlpg, and cr3, which is true or false"};
    }
}

Case::Expected exception(const Json& j, const std::string& field) {
    Case::Expected e{};
    bool named = false;
    for (const auto& [key, value] : object(j, field).items()) {
        if (key == "vector") e.vector = static_cast<u8>(word(value, 8, join(field, key))), named = true;
        else if (key == "error") e.error = word(value, 32, join(field, key));
        else if (key == "cr2") e.cr2 = word(value, 64, join(field, key));
        else throw Fault{join(field, key), "an exception has vector, error and cr2"};
    }
    if (!named) throw Fault{join(field, "vector"), "it is missing"};
    return e;
}

Mode mode(const Json& j, const std::string& field) {
    const std::string& name = text(j, field);
    for (size_t i = 0; i < std::size(kModeNames); ++i)
        if (name == kModeNames[i]) return static_cast<Mode>(i);
    std::string known;
    for (const char* n : kModeNames) known += (known.empty() ? "" : ", ") + std::string{n};
    throw Fault{field, shown(name) + " is none of " + known};
}

u64 steps(const Json& j, const std::string& field) {
    if (!j.is_number_unsigned() && !j.is_string()) throw Fault{field, "a number is expected"};
    const u64 n = word(j, 64, field);
    if (n > kMostSteps) throw Fault{field, std::to_string(n) + " is more than " + std::to_string(kMostSteps)};
    return n;
}

u64 ram(const Json& j, const std::string& field) {
    if (!j.is_number_unsigned()) throw Fault{field, "a number of MiB is expected"};
    const u64 n = j.get<u64>();
    if (n < kRam / kMiB || n > kMostRam / kMiB) throw Fault{field, "a case has " + std::to_string(kRam / kMiB) + " to " + std::to_string(kMostRam / kMiB) + " MiB"};
    return n * kMiB;
}

void fill(const Json& j, Case& c) {
    if (!j.is_object()) throw Fault{"case", "an object is expected"};
    if (const auto n = j.find("name"); n != j.end()) c.name = text(*n, "name");
    bool has_mode = false, has_cpl = false;
    for (const auto& [key, value] : j.items()) {
        if (key == "name" || key == "comment") continue;
        if (key == "mode") c.mode = mode(value, key), has_mode = true;
        else if (key == "cpu") c.cpu = text(value, key);
        else if (key == "cpl") c.cpl = static_cast<unsigned>(word(value, 2, key)), has_cpl = true;
        else if (key == "steps") c.steps = steps(value, key);
        else if (key == "ram") c.ram = ram(value, key);
        else if (key == "warm") warm(value, key, c.warm);
        else if (key == "initial") state(value, key, c.regs, c.mem);
        else if (key == "final") c.has_final = true, state(value, key, c.final_regs, c.final_mem);
        else if (key == "undefined") registers_of(value, key, c.undefined);
        else if (key == "exception") c.exception = exception(value, key);
        else throw Fault{key, "a case has no such field"};
    }
    if (!has_mode) throw Fault{"mode", "it is missing"};
    if (!has_cpl && c.mode == Mode::vm86) c.cpl = 3;
}

/// In words of ours: the library's name its own parts.
ParseError syntax_error(std::string_view text, size_t byte) {
    const std::string_view before = text.substr(0, std::min(byte ? byte - 1 : 0, text.size()));
    const size_t line_begin = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    const auto line = static_cast<unsigned long>(std::count(before.begin(), before.end(), '\n'));
    return {line, "this is no JSON, at column " + std::to_string(before.size() - line_begin + 1) + " of the case"};
}
}  // namespace

std::optional<ParseError> parse_case(std::string_view text, Case& c) {
    c = {};
    try {
        fill(Json::parse(text), c);
    } catch (const Json::parse_error& e) {
        return syntax_error(text, e.byte);
    } catch (const Json::exception&) {
        return ParseError{0, "case: a number in it is out of range"};
    } catch (const Fault& f) {
        return ParseError{0, f.field + ": " + f.why};
    }
    return {};
}
}  // namespace calque::exec
