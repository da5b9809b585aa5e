#include "frontend/control/monitor.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>

namespace calque {

namespace {
constexpr unsigned kMaxUnits = 65536;  // of one examine command

/// Sums, differences and products of numbers, registers ($pc) and brackets.
class Expression {
public:
    Expression(std::string_view text, const ControlTarget& target) : text_{text}, target_{target} {}
    std::optional<u64> value() {
        const u64 v = sum();
        skip();
        if (error_.empty() && at_ < text_.size()) bad_character();
        return error_.empty() ? std::optional{v} : std::nullopt;
    }
    const std::string& error() const { return error_; }

private:
    void skip() {
        while (at_ < text_.size() && std::isspace(static_cast<u8>(text_[at_]))) ++at_;
    }
    bool take(char c) {
        skip();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    void bad_character() {
        if (error_.empty()) error_ = std::string{"invalid char '"}.append(1, text_[at_]).append("' in expression");
    }
    u64 sum() {
        u64 v = product();
        while (error_.empty()) {
            if (take('+')) v += product();
            else if (take('-')) v -= product();
            else break;
        }
        return v;
    }
    u64 product() {
        u64 v = unary();
        while (error_.empty() && take('*')) v *= unary();
        return v;
    }
    u64 unary() {
        u64 sign = 1;
        for (;;) {
            if (take('-')) sign = -sign;
            else if (!take('+')) break;
        }
        return sign * term();
    }
    u64 term() {
        skip();
        if (at_ >= text_.size()) return error_ = "unexpected end of expression", 0;
        if (text_[at_] == '(') {
            if (++depth_ > 64) return bad_character(), 0;
            ++at_;
            const u64 v = sum();
            --depth_;
            if (error_.empty() && !take(')')) error_ = "')' expected";
            return v;
        }
        return text_[at_] == '$' ? reg() : number();
    }
    u64 reg() {
        const size_t begin = ++at_;
        while (at_ < text_.size() && std::isalnum(static_cast<u8>(text_[at_]))) ++at_;
        const auto v = target_.register_value(text_.substr(begin, at_ - begin));
        if (!v) error_ = "unknown register";
        return v.value_or(0);
    }
    u64 number() {
        int base = 10;
        if (text_[at_] == '0' && at_ + 1 < text_.size() && (text_[at_ + 1] | 32) == 'x') base = 16, at_ += 2;
        else if (text_[at_] == '0') base = 8;
        u64 v = 0;
        const auto [end, e] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v, base);
        if (e == std::errc::result_out_of_range) return error_ = "number too large", 0;
        if (e != std::errc{}) {
            if (at_ < text_.size()) bad_character();
            else error_ = "unexpected end of expression";
            return 0;
        }
        at_ = static_cast<size_t>(end - text_.data());
        return v;
    }
    std::string_view text_;
    const ControlTarget& target_;
    size_t at_ = 0;
    unsigned depth_ = 0;
    std::string error_;
};

template <class... Ts>
std::string formatted(const char* format, Ts... values) {
    char text[64];
    std::snprintf(text, sizeof text, format, values...);
    return text;
}

std::string unit(char format, unsigned size, u64 v) {
    using ull = unsigned long long;
    const unsigned log = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
    static constexpr int kDecimal[4] = {3, 5, 10, 20}, kOctal[4] = {3, 6, 11, 22};
    switch (format) {
    case 'o': return formatted(" %#*llo", kOctal[log], ull{v});
    case 'u': return formatted(" %*llu", kDecimal[log], ull{v});
    case 'd': return formatted(" %*lld", kDecimal[log], static_cast<long long>(v << (64 - 8 * size)) >> (64 - 8 * size));
    case 'c':
        switch (v) {
        case '\'': return " '\\''";
        case '\\': return " '\\\\'";
        case '\n': return " '\\n'";
        case '\r': return " '\\r'";
        default: return v >= 32 && v < 127 ? formatted(" '%c'", static_cast<int>(v)) : formatted(" '\\x%02x'", static_cast<unsigned>(v));
        }
    default: return formatted(" 0x%0*llx", static_cast<int>(2 * size), ull{v});
    }
}

std::string with_crlf(const std::string& text) {
    std::string out;
    for (char c : text) {
        if (c == '\n') out += '\r';
        out += c;
    }
    return out;
}

std::string_view word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r\n"), line.size()));
    const std::string_view w = line.substr(0, line.find_first_of(" \t\r\n/"));
    line.remove_prefix(w.size());
    return w;
}
}  // namespace

std::string HumanMonitor::run(std::string_view line) {
    std::string_view rest = line;
    const std::string_view name = word(rest);
    if (name.empty()) return {};
    if (name == "x" || name == "xp") return examine(name, rest, name == "xp");
    if (name == "info") return info(word(rest));
    if (name == "stop" || name == "s") return target_.stop(), "";
    if (name == "cont" || name == "c") return target_.cont(), "";
    if (name == "quit" || name == "q") return target_.quit(), "";
    if (name == "system_reset") return target_.system_reset(), "";
    if (name == "system_powerdown") return target_.system_powerdown(), "";
    if (name == "help" || name == "?")
        return "info registers|status|name|version -- show it\r\n"
               "x /fmt addr -- examine memory at a virtual address\r\n"
               "xp /fmt addr -- examine memory at a physical address\r\n"
               "stop, cont, quit, system_reset, system_powerdown\r\n";
    return std::string{"unknown command: '"}.append(name).append("'\r\n");
}

std::string HumanMonitor::info(std::string_view what) {
    if (what == "registers") return with_crlf(target_.registers());
    if (what == "name") return target_.name() + (target_.name().empty() ? "" : "\r\n");
    if (what == "version") return "7.2.0Calque 0.1.0\r\n";
    if (what == "status") {
        switch (target_.run_state()) {
        case ControlTarget::RunState::running: return "VM status: running\r\n";
        case ControlTarget::RunState::paused: return "VM status: paused\r\n";
        default: return "VM status: paused (shutdown)\r\n";
        }
    }
    if (what.empty()) return "info registers|status|name|version\r\n";
    return std::string{"unknown command: 'info "}.append(what).append("'\r\n");
}

/// x and xp: [/[count][format][size]] address
std::string HumanMonitor::examine(std::string_view name, std::string_view rest, bool physical) {
    auto wrong = [&](std::string what) {
        return what.append("\r\nTry \"help ").append(name).append("\" for more information\r\n");
    };
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    unsigned count = 1;
    if (rest.starts_with('/')) {
        rest.remove_prefix(1);
        const auto [end, e] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
        if (e == std::errc::result_out_of_range) return wrong("the count is too large");
        if (e == std::errc{}) rest.remove_prefix(static_cast<size_t>(end - rest.data()));
        while (!rest.empty() && !std::isspace(static_cast<u8>(rest[0]))) {
            switch (const char c = rest[0]) {
            case 'o': case 'd': case 'u': case 'x': case 'i': case 'c': format_ = c; break;
            case 'b': size_ = 1; break;
            case 'h': size_ = 2; break;
            case 'w': size_ = 4; break;
            case 'g': case 'L': size_ = 8; break;
            default: return wrong(std::string{"invalid char in format: '"}.append(1, c).append("'"));
            }
            rest.remove_prefix(1);
        }
    }
    Expression expression{rest, target_};
    const auto address = expression.value();
    if (!address) return wrong(expression.error());
    if (count > kMaxUnits) return wrong("the count is too large");
    if (format_ == 'c') size_ = 1;  // characters have no other size
    if (format_ != 'i') return dump(*address, count, physical);
    const std::string code = target_.disassemble(*address, physical, count);
    return code.empty() && count ? "no instructions can be shown there\r\n" : with_crlf(code);
}

std::string HumanMonitor::dump(u64 address, unsigned count, bool physical) {
    const unsigned step = size_;
    const unsigned line_bytes = step == 1 && format_ != 'c' ? 8 : 16;
    std::string out;
    for (u64 done = 0; done < count; done += line_bytes / step) {
        const u64 units = std::min<u64>(line_bytes / step, count - done), at = address + done * step;
        out += formatted("%016llx:", static_cast<unsigned long long>(at));
        u8 bytes[16];
        const std::span<u8> span{bytes, units * step};
        if (!(physical ? target_.read_physical(at, span) : target_.read_virtual(at, span))) return out + " Cannot access memory\r\n";
        for (u64 i = 0; i < units; ++i) {
            u64 v = 0;
            for (unsigned b = 0; b < step; ++b) v |= u64{bytes[i * step + b]} << (8 * b);
            out += unit(format_, step, v);
        }
        out += "\r\n";
    }
    return out;
}
}  // namespace calque
