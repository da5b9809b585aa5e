#include "frontend/exec/texts.h"

#include <cstdlib>

namespace calque::exec {

/// Follows braces through a text, a line at a time.
struct CaseTexts::Braces {
    unsigned depth = 0;
    bool in_string = false;
    /// Where the object ends (behind its last brace) in `s`, or npos. JSON's strings end on their line.
    size_t end_in(std::string_view s, size_t from) {
        in_string = false;
        for (size_t i = from; i < s.size(); ++i) {
            const char c = s[i];
            if (in_string) {
                if (c == '\\') ++i;
                else if (c == '"') in_string = false;
            } else if (c == '"') in_string = true;
            else if (c == '{') ++depth;
            else if (c == '}' && --depth == 0) return i + 1;
        }
        return std::string_view::npos;
    }
};

CaseTexts::~CaseTexts() { std::free(raw_); }

bool CaseTexts::read_line() {
    at_ = 0;
    if (!again_.empty()) {
        line_ = std::move(again_.front());
        again_.pop_front();
        return ++number_, true;
    }
    const ssize_t n = ::getline(&raw_, &raw_size_, file_);
    if (n < 0) return line_.clear(), false;
    line_.assign(raw_, static_cast<size_t>(n));
    if (number_++ == 0 && line_.starts_with("\xef\xbb\xbf")) at_ = 3;   // a byte order mark
    return true;
}

/// To the next character that is none, reading lines. False: there is none.
bool CaseTexts::skip_blank() {
    for (;;) {
        at_ = line_.find_first_not_of(" \t\r\n", at_);
        if (at_ != std::string::npos) return true;
        if (!read_line()) return at_ = 0, false;
    }
}

CaseTexts::Text CaseTexts::wrong(const char* why) {
    const unsigned long line = number_;
    at_ = line_.size();   // go on with the next line
    return {{}, line, why};
}

/// Said once for all that stands before the next case.
CaseTexts::Text CaseTexts::garbage() {
    const Text said{{}, number_, place_ == Place::end ? "something follows the array of cases" : "a case begins with '{'"};
    const char* ends = place_ == Place::end ? "" : array_ ? "{,]" : "{";
    ++at_;
    do at_ = line_.find_first_of(ends, at_);
    while (at_ == std::string::npos && read_line());
    if (at_ == std::string::npos) at_ = line_.size();
    if (array_) place_ = Place::after;
    else if (place_ == Place::start) place_ = Place::open;
    return said;
}

CaseTexts::Text CaseTexts::object() {
    Braces braces;
    const size_t begin = at_, end = braces.end_in(line_, at_);
    const unsigned long first = number_;
    if (end != std::string::npos) {
        at_ = end;
        return {std::string_view{line_}.substr(begin, end - begin), first};
    }
    if (by_lines_) return wrong("the case that begins here does not end on this line");
    several_ = line_.substr(begin);
    std::deque<std::string> read;
    while (read_line()) {
        read.push_back(line_);
        const size_t stop = braces.end_in(line_, 0);
        several_.append(line_, 0, stop);
        if (stop == std::string::npos) continue;
        at_ = stop;
        return {several_, first};
    }
    by_lines_ = true;
    read.insert(read.end(), again_.begin(), again_.end());
    again_ = std::move(read);
    number_ = first;
    return {{}, first, "the case that begins here does not end"};
}

bool CaseTexts::next(Text& out) {
    for (;;) {
        if (!skip_blank()) {
            if (!array_) return false;
            array_ = false;
            return out = {{}, number_, "the array of cases does not end"}, true;
        }
        const char c = line_[at_];
        if (c == '[' && place_ == Place::start) {
            ++at_, array_ = true, place_ = Place::element;
        } else if (c == ']' && array_) {
            ++at_, array_ = false, place_ = Place::end;
        } else if (c == ',' && array_ && place_ == Place::after) {
            ++at_, place_ = Place::element;
        } else if (c == '{' && (place_ != Place::after || !array_) && place_ != Place::end) {
            out = object();
            place_ = array_ ? (out.error ? Place::element : Place::after) : Place::open;
            return true;
        } else if (c == '{' && array_) {
            place_ = Place::element;   // said once; then the case is taken all the same
            return out = {{}, number_, "a comma is missing before this case"}, true;
        } else {
            return out = garbage(), true;
        }
    }
}
}  // namespace calque::exec
