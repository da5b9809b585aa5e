// A case's JSON text to a Case.
#pragma once
#include "machine/exec/case.h"

namespace calque::exec {

struct ParseError {
    unsigned long line = 0;   // from the text's first, which is 0
    std::string message;      // begins with the field
};
/// On an error the case is partly filled in; its name is, when it could be read.
std::optional<ParseError> parse_case(std::string_view text, Case&);
}  // namespace calque::exec
