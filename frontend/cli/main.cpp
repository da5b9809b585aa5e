#include <cstdio>
#include <exception>

#include "frontend/cli/session.h"
#include "frontend/exec/command.h"
#include "frontend/trace/command.h"
#include "frontend/verify/command.h"

#ifndef CALQUE_VERSION
#define CALQUE_VERSION "unknown"
#endif

namespace {
int complain(const std::string& sentence) {
    std::fprintf(stderr, "calque: %s\n", sentence.c_str());
    return 1;
}

int run(int argc, char** argv) {
    const std::string_view command = argc > 1 ? argv[1] : "";
    if (command == "exec") return calque::exec::command({argv + 2, argv + argc});
    if (command == "trace") return calque::trace::command({argv + 2, argv + argc});
    if (command == "verify") return calque::verify::verify_command({argv + 2, argv + argc});
    if (command == "bisect") return calque::verify::bisect_command({argv + 2, argv + argc});
    auto options = calque::parse_options({argv + 1, argv + argc});
    if (!options) return complain(options.error().message);
    if (options->help) return std::fputs(calque::help_text().c_str(), stdout), 0;
    if (options->version) return std::puts("calque " CALQUE_VERSION), 0;
    auto session = calque::Session::create(std::move(*options));
    if (!session) return complain(session.error().message);
    return (*session)->run();
}
}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& e) {  // the host has run out of something
        return complain(e.what());
    }
}
