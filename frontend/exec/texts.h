// Cuts a file into the texts of its cases, as it comes: one object, an array of them, or one after the other.
#pragma once
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>

namespace calque::exec {

class CaseTexts {
public:
    explicit CaseTexts(std::FILE* file) : file_{file} {}
    ~CaseTexts();
    CaseTexts(const CaseTexts&) = delete;

    struct Text {
        std::string_view text;   // valid until the next call; with balanced braces, but perhaps no JSON
        unsigned long line = 0;  // where it begins, from 1
        const char* error = nullptr;   // instead of a text
    };
    /// False: there are no more.
    bool next(Text&);

private:
    struct Braces;
    bool read_line();
    bool skip_blank();
    Text object();
    Text garbage();
    Text wrong(const char* why);

    std::FILE* file_;
    char* raw_ = nullptr;
    size_t raw_size_ = 0;
    std::string line_, several_;
    unsigned long number_ = 0;
    size_t at_ = 0;
    std::deque<std::string> again_;   // lines that were read in vain
    bool by_lines_ = false;           // a case did not end, so no case goes over several lines from there on
    enum class Place { start, open, element, after, end } place_ = Place::start;   // outside of an array: open
    bool array_ = false;
};
}  // namespace calque::exec
