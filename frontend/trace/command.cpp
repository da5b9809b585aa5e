#include "frontend/trace/command.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cpu/model.h"
#include "frontend/trace/print.h"
#include "machine/trace/reader.h"

namespace calque::trace {
namespace {
constexpr const char kHelp[] =
    "Prints a trace that --trace has written.\n"
    "\n"
    "  calque trace FILE [FILTER...] [--json]\n"
    "\n"
    "FILTER is what --trace takes behind the file (docs/tracing.md): instructions, memory, interrupts, ports, count=A-B, address=A-B,\n"
    "data=A-B, ring=N, cr3=N, with commas or spaces between them. Without one, everything in the file is printed.\n"
    "  --json          an object a line for each record\n";

struct Options {
    std::string file;
    TraceFilter filter;
    bool json = false, help = false;
};

Result<Options> parse(const std::vector<std::string>& arguments) {
    Options o;
    std::string words;
    for (const std::string& a : arguments) {
        if (a == "--json") o.json = true;
        else if (a == "--help" || a == "-h") o.help = true;
        else if (a.starts_with("-")) return Error{"there is no option '" + a + "'; see calque trace --help"};
        else if (o.file.empty()) o.file = a;
        else words += (words.empty() ? "" : ",") + a;
    }
    if (o.help) return o;
    if (o.file.empty()) return Error{"calque trace takes a file; see calque trace --help"};
    auto filter = parse_trace_filter(words);
    if (!filter) return filter.error();
    o.filter = *filter;
    return o;
}

int complain(const std::string& sentence) {
    std::fflush(stdout);
    std::fprintf(stderr, "calque: %s\n", sentence.c_str());
    return 1;
}

int print(const Options& o) {
    auto reader = TraceReader::open(o.file);
    if (!reader) return complain(reader.error().message);
    auto model = parse_cpu_model((*reader)->cpu());
    if (!model) model = parse_cpu_model("max");
    Printer printer{model->features};
    const auto put = [&](const TraceRecord& r) {
        const std::string text = o.json ? printer.json(r) : printer.text(r);
        return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    };
    const auto done = (*reader)->read(o.filter, put);
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) return complain(std::string{"cannot write the records: "} + std::strerror(errno));
    if (!done) return complain(done.error().message);
    if ((*reader)->cut()) complain("the trace '" + o.file + "' breaks off; this is all that it has");
    return 0;
}
}  // namespace

int command(const std::vector<std::string>& arguments) {
    const auto options = parse(arguments);
    if (!options) return complain(options.error().message);
    if (options->help) return std::fputs(kHelp, stdout), 0;
    try {
        return print(*options);
    } catch (const std::exception& e) {   // the host has run out of something
        return complain(e.what());
    }
}
}  // namespace calque::trace
