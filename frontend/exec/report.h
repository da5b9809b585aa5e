// What is said of a case: a JSON object on a line, or text for people.
#pragma once
#include "machine/exec/runner.h"

namespace calque::exec {

/// Where a case stands: "FILE:LINE".
struct Place {
    std::string file;
    unsigned long line;
    std::string text() const { return file + ":" + std::to_string(line); }
};

/// name, pass, differences, final state, instructions.
std::string json_report(const Case&, const Verdict&, Rig&);
std::string json_report_unusable(const Case&, const std::string& error);

/// Lines about a case that differs; nothing about one that passes.
std::string text_report(const Place&, const Case&, const Verdict&);
/// The state, of a case that expects nothing.
std::string text_state(const Place&, const Case&, const Verdict&, Rig&);
}  // namespace calque::exec
