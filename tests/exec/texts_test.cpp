// Cutting files into cases.
#include "frontend/exec/texts.h"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

using namespace calque::exec;

namespace {
struct Found {
    std::vector<std::string> texts;
    std::vector<unsigned long> lines;
    std::vector<std::string> errors;   // "LINE: what"
};
Found cut(const std::string& content) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> f{std::tmpfile(), std::fclose};
    REQUIRE(f);
    std::fwrite(content.data(), 1, content.size(), f.get());
    std::rewind(f.get());
    CaseTexts texts{f.get()};
    CaseTexts::Text t;
    Found found;
    while (texts.next(t)) {
        if (t.error) {
            found.errors.push_back(std::to_string(t.line) + ": " + t.error);
        } else {
            found.texts.emplace_back(t.text);
            found.lines.push_back(t.line);
        }
    }
    return found;
}
using Strings = std::vector<std::string>;
using Lines = std::vector<unsigned long>;
}  // namespace

TEST_CASE("texts: one object, an array, one object a line") {
    for (const char* s : {"{\"a\": {}}", "[{\"a\": {}}]", " \n [ {\"a\": {}} \n ]\n", "\xef\xbb\xbf{\"a\": {}}\n"}) {
        CAPTURE(s);
        CHECK(cut(s).texts == Strings{"{\"a\": {}}"});
        CHECK(cut(s).errors.empty());
    }
    const Found lines = cut("{}\n{\"n\":1}\n\n{ }");
    CHECK(lines.texts == Strings{"{}", "{\"n\":1}", "{ }"});
    CHECK(lines.lines == Lines{1, 2, 4});
    const Found array = cut("[{},\n {\"n\":\n1}\n, {}]\n");
    CHECK(array.texts == Strings{"{}", "{\"n\":\n1}", "{}"});
    CHECK(array.lines == Lines{1, 2, 4});
    CHECK(array.errors.empty());
    const Found apart = cut("{\"a\":\n1}\n{\"b\":\n2} {}");
    CHECK(apart.texts == Strings{"{\"a\":\n1}", "{\"b\":\n2}", "{}"});
    CHECK(cut("").texts.empty());
    CHECK(cut("[]").errors.empty());
}

TEST_CASE("texts: braces in strings do not count") {
    CHECK(cut("{\"}\\\"{\": \"\\\\\"}{}").texts == Strings{"{\"}\\\"{\": \"\\\\\"}", "{}"});
}

TEST_CASE("texts: what is wrong is said once, and the rest is found") {
    const Found cut_short = cut("{\"a\": {\n{}\n{\"b\":\"\n{}\n");
    CHECK(cut_short.texts == Strings{"{}", "{}"});
    CHECK(cut_short.lines == Lines{2, 4});
    REQUIRE(cut_short.errors.size() == 2);
    CHECK(cut_short.errors[0].starts_with("1: "));
    CHECK(cut_short.errors[1].starts_with("3: "));
    const Found garbage = cut("what\nis this {}\n");
    CHECK(garbage.texts == Strings{"{}"});
    CHECK(garbage.errors == Strings{"1: a case begins with '{'"});
    const Found inside = cut("[{}, 5, {} {}, ]");
    CHECK(inside.texts == Strings{"{}", "{}", "{}"});
    CHECK(inside.errors.size() == 2);
    CHECK(cut("[{}").errors == Strings{"1: the array of cases does not end"});
    CHECK(cut("[{}] {}\n{}").errors == Strings{"1: something follows the array of cases"});
    CHECK(cut("}").errors.size() == 1);
}
