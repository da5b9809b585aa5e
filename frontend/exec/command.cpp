#include "frontend/exec/command.h"

#include <cerrno>
#include <cstring>

#include "frontend/exec/parse.h"
#include "frontend/exec/report.h"
#include "frontend/exec/texts.h"
#include "support/comma_list.h"

namespace calque::exec {
namespace {

constexpr int kPass = 0, kDiffer = 1, kUnusable = 2;

constexpr const char kHelp[] =
    "Runs single instructions, or a few, from a given state, and compares the outcome with what is expected.\n"
    "\n"
    "  calque exec FILE... [--engine interp|jit|host|all] [--jit-disable LIST] [--json] [--trace]\n"
    "\n"
    "FILE has cases in JSON: one object, an array, or one object a line; - is standard input. docs/reproducers.md describes them.\n"
    "  --engine KIND   what runs them: interp (the default); jit; all, which is both, and they have to agree in everything; or host, the\n"
    "                  processor of an x86-64 host, for what user mode can do\n"
    "  --jit-disable LIST  switch optimisations off, as for machines\n"
    "  --json          print an object for each case: name, pass, differences, final state, instructions\n"
    "  --trace         print each instruction before it runs (with --json on standard error)\n"
    "A case without \"final\" and \"exception\" has its final state printed.\n"
    "Exit status: 0 when all pass, 1 when some differ, 2 when a file or a case in it cannot be used.\n";

struct Options {
    std::vector<std::string> files;
    std::vector<Engine> engines{Engine::interp};
    std::vector<std::string> disable;
    bool json = false, trace = false, help = false;
};

Result<std::vector<Engine>> parse_engine(const std::string& name) {
    if (name == "interp") return std::vector{Engine::interp};
    if (name == "all") return jit::Engine::has_jit() ? std::vector{Engine::interp, Engine::jit} : std::vector{Engine::interp};
    if (name == "host") return std::vector{Engine::host};
    if (name != "jit") return Error{"--engine is interp, jit, host or all, not '" + name + "'"};
    if (!jit::Engine::has_jit()) return Error{"this build has no JIT; use --engine interp"};
    return std::vector{Engine::jit};
}

Result<Options> parse(const std::vector<std::string>& arguments) {
    Options o;
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string& a = arguments[i];
        const size_t equals = a.find('=');
        const std::string name = a.substr(0, equals);
        if (a == "--json") o.json = true;
        else if (a == "--trace") o.trace = true;
        else if (a == "--help" || a == "-h") o.help = true;
        else if (name == "--engine" || name == "--jit-disable") {
            if (equals == std::string::npos && i + 1 == arguments.size()) return Error{name + " takes a value; see calque exec --help"};
            const std::string value = equals == std::string::npos ? arguments[++i] : a.substr(equals + 1);
            if (name == "--engine") {
                auto e = parse_engine(value);
                if (!e) return e.error();
                o.engines = *e;
            } else {
                o.disable = comma_list(value);
                if (auto r = jit::Engine::know_switches(o.disable); !r) return r.error();
            }
        } else if (a.starts_with("-") && a != "-") return Error{"there is no option '" + a + "'; see calque exec --help"};
        else o.files.push_back(a);
    }
    if (o.trace && o.engines.front() == Engine::host) return Error{"--trace and --engine host do not go together"};
    if (o.files.empty() && !o.help) return Error{"calque exec takes files with cases; see calque exec --help"};
    return o;
}

class Command {
public:
    explicit Command(const Options& o) : options_{o}, runner_{o.engines, o.disable} {
        if (o.trace) trace_ = [this](const std::string& line) { std::fprintf(options_.json ? stderr : stdout, "%s\n", line.c_str()); };
    }
    int run();

private:
    void file(const std::string& name);
    void read(std::FILE*, const std::string& name);
    void one(const Place&, const CaseTexts::Text&);
    void unusable(const std::string& sentence, bool is_case);
    void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

    const Options options_;
    CaseRunner runner_;
    std::function<void(const std::string&)> trace_;
    Case case_;
    unsigned long passed_ = 0, differing_ = 0, unusable_ = 0;
};

void Command::unusable(const std::string& sentence, bool is_case) {
    ++unusable_;
    std::fflush(stdout);
    std::fprintf(stderr, "calque: %s\n", sentence.c_str());
    if (options_.json && is_case) print(json_report_unusable(case_, sentence));
}

void Command::one(const Place& at, const CaseTexts::Text& t) {
    if (t.error) return case_ = {}, unusable(at.text() + ": " + t.error, true);
    if (auto wrong = parse_case(t.text, case_)) return unusable(Place{at.file, at.line + wrong->line}.text() + ": " + wrong->message, true);
    auto verdict = runner_.run(case_, trace_);
    if (!verdict) return unusable(at.text() + ": " + verdict.error().message, true);
    ++(verdict->pass() ? passed_ : differing_);
    if (options_.json) print(json_report(case_, *verdict, runner_.rig()));
    else {
        print(text_report(at, case_, *verdict));
        if (!case_.expects()) print(text_state(at, case_, *verdict, runner_.rig()));
    }
}

void Command::read(std::FILE* f, const std::string& name) {
    CaseTexts texts{f};
    CaseTexts::Text t;
    bool any = false;
    for (; texts.next(t); any = true) one({name, t.line}, t);
    if (std::ferror(f)) return unusable("cannot read '" + name + "': " + std::strerror(errno), false);
    if (!any) unusable("there is no case in '" + name + "'", false);
}

void Command::file(const std::string& name) {
    if (name == "-") return read(stdin, "standard input");
    std::FILE* f = std::fopen(name.c_str(), "r");
    if (!f) return unusable("cannot open '" + name + "': " + std::strerror(errno), false);
    read(f, name);
    std::fclose(f);
}

int Command::run() {
    for (const std::string& f : options_.files) file(f);
    const unsigned long all = passed_ + differing_ + unusable_;
    if (!options_.json) std::printf("%lu case%s: %lu pass, %lu differ, %lu cannot be used\n", all, all == 1 ? "" : "s", passed_, differing_, unusable_);
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        std::fprintf(stderr, "calque: cannot write the results: %s\n", std::strerror(errno));
        return kUnusable;
    }
    return unusable_ ? kUnusable : differing_ ? kDiffer : kPass;
}
}  // namespace

int command(const std::vector<std::string>& arguments) {
    auto options = parse(arguments);
    if (!options) {
        std::fprintf(stderr, "calque: %s\n", options.error().message.c_str());
        return kUnusable;
    }
    if (options->help) return std::fputs(kHelp, stdout), kPass;
    try {
        return Command{*options}.run();
    } catch (const std::exception& e) {   // the host has run out of something
        std::fprintf(stderr, "calque: %s\n", e.what());
        return kUnusable;
    }
}
}  // namespace calque::exec
