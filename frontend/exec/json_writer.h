#pragma once
#include <string>
#include <string_view>

#include "support/types.h"

namespace calque::exec {

/// JSON as it is written, without a tree of it.
class JsonWriter {
public:
    std::string out;
    void key(std::string_view k) {
        comma();
        quote(k);
        out += ':';
        first_ = true;
    }
    void open(char c) { comma(), out += c, first_ = true; }
    void close(char c) { out += c, first_ = false; }
    void string(std::string_view s) { comma(), quote(s); }
    void raw(std::string_view s) { comma(), out += s; }
    void field(std::string_view k, std::string_view s) { key(k), string(s); }

private:
    void comma() {
        if (!first_) out += ',';
        first_ = false;
    }
    void quote(std::string_view s) {
        out += '"';
        for (const char c : s) {
            if (c == '"' || c == '\\') out += '\\', out += c;
            else if (static_cast<u8>(c) < 0x20) out += "\\u00", out += "0123456789abcdef"[c >> 4 & 15], out += "0123456789abcdef"[c & 15];
            else out += c;
        }
        out += '"';
    }
    bool first_ = true;
};
}  // namespace calque::exec
