#include "frontend/control/framer.h"

namespace calque {

void JsonFramer::restart() {
    text_.clear();
    depth_ = 0, quote_ = 0, escape_ = false;
}

void JsonFramer::fail(const char* why, char at, const Sink& sink) {
    restart();
    skipping_ = at != '\n';
    sink.error(why);
}

void JsonFramer::complete(const Sink& sink) {
    if (text_.empty()) return;
    const std::string whole = std::move(text_);
    restart();
    sink.message(whole);
}

void JsonFramer::feed(std::string_view bytes, const Sink& sink) {
    for (char c : bytes) {
        // FFh never occurs in UTF-8: QMP clients send it to get out of whatever state the parser is in.
        if (static_cast<u8>(c) == 0xFF) {
            restart(), skipping_ = false;
        } else if (skipping_) {
            skipping_ = c != '\n';
        } else if (text_.size() >= kMaxMessage) {
            fail("JSON token size limit exceeded", c, sink);
        } else if (quote_) {
            in_string(c, sink);
        } else {
            character(c, sink);
        }
    }
}

// QMP also takes strings in single quotes; they are rewritten to standard JSON here.
void JsonFramer::in_string(char c, const Sink& sink) {
    if (static_cast<u8>(c) < 0x20) return fail("JSON parse error, stray control character in a string", c, sink);
    if (escape_) {
        escape_ = false;
        if (c != '\'') text_ += '\\';
        text_ += c;
    } else if (c == '\\') {
        escape_ = true;
    } else if (c == quote_) {
        text_ += '"';
        quote_ = 0;
    } else if (c == '"') {
        text_ += "\\\"";
    } else {
        text_ += c;
    }
}

void JsonFramer::character(char c, const Sink& sink) {
    switch (c) {
    case ' ': case '\t': case '\r': case '\n':
        if (depth_ == 0) return complete(sink);  // the end of a bare number or word
        text_ += c;
        return;
    case '{': case '[':
        if (depth_ == 0) complete(sink);
        if (depth_ == kMaxDepth) return fail("JSON nesting depth limit exceeded", c, sink);
        ++depth_;
        text_ += c;
        return;
    case '}': case ']':
        if (depth_ == 0) return restart(), sink.error("JSON parse error, expecting value");
        text_ += c;
        if (--depth_ == 0) complete(sink);
        return;
    case '"': case '\'':
        quote_ = c;
        text_ += '"';
        return;
    default: text_ += c; return;
    }
}
}  // namespace calque
