#include "frontend/verify/command.h"

#include <cinttypes>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <span>

#include "frontend/cli/options.h"
#include "frontend/exec/write.h"
#include "jit/engine.h"
#include "machine/snapshot/new_file.h"
#include "machine/snapshot/stream.h"
#include "machine/verify/reproducer.h"
#include "machine/verify/streams.h"
#include "support/assert.h"

namespace calque::verify {
namespace {
constexpr int kSame = 0, kDiffer = 1, kUnusable = 2;
constexpr const char kReference[] = "interp,tlb,code_tracking";

constexpr const char kVerifyHelp[] =
    "Runs one machine on two executors side by side and finds the first instruction after which they differ.\n"
    "\n"
    "  calque verify [RECORDING] [--a EXECUTOR] [--b EXECUTOR] [--case FILE] [machine options, --load FILE, --stop-at N]\n"
    "\n"
    "  --a EXECUTOR   jit or interp, and what --jit-disable knows behind it: jit,dead_flags (jit)\n"
    "  --b EXECUTOR   what it is compared with (interp,tlb,code_tracking: an interpreter that remembers nothing)\n"
    "  --case FILE    where to write the reproducer, for calque exec (difference.json)\n"
    "  --step N       instructions between comparisons (10000000)\n"
    "Nothing is written to images, and nothing comes from outside but what a recording has.\n"
    "Exit status: 0 when they are the same to the end, 1 when they differ, 2 when it could not be found out.\n";
constexpr const char kBisectHelp[] =
    "Finds the first instruction after which two runs of one machine differ: recordings, which are replayed side by side, or folders that\n"
    "--save-every has filled with snapshots. Of folders it compares hashes, and tries the executors on the way from the last snapshot that is\n"
    "the same to the first that is not.\n"
    "\n"
    "  calque bisect A B [--engine jit|interp] [--step N] [--case FILE]\n"
    "\n"
    "  --engine ENGINE   what replays the recordings (jit)\n"
    "  --case FILE       where to write the reproducer, if executors differ between snapshots (difference.json)\n"
    "  --step N          instructions between comparisons (10000000)\n"
    "Exit status: 0 when they are the same to the end, 1 when they differ, 2 when it could not be found out.\n";

struct Request {
    std::vector<std::string> files, rest;   // the rest: options of the machine
    std::string a, b, path = "difference.json", engine = "jit";
    u64 step = Lockstep::kStep;
    bool help = false;
};

Result<Request> parse(const std::vector<std::string>& arguments, const std::string& command, std::vector<std::pair<std::string, std::string Request::*>> own) {
    Request r;
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        const size_t equals = word.find('=');
        const std::string name = word.substr(0, equals);
        const auto value = [&]() -> Result<std::string> {
            if (equals != std::string::npos) return word.substr(equals + 1);
            if (i + 1 == arguments.size()) return Error{name + " takes a value; see calque " + command + " --help"};
            return arguments[++i];
        };
        bool taken = name == "--step";
        if (taken) {
            auto v = value();
            if (!v) return v.error();
            char* end = nullptr;
            r.step = std::strtoull(v->c_str(), &end, 0);
            if (!r.step || *end || v->starts_with("-")) return Error{"--step takes a number of instructions, not '" + *v + "'"};
        }
        for (const auto& [option, to] : own) {
            if (name != option) continue;
            auto v = value();
            if (!v) return v.error();
            r.*to = *v, taken = true;
        }
        if (taken) continue;
        if (word == "--help" || word == "-h") r.help = true;
        else if (!word.starts_with("-") && r.rest.empty()) r.files.push_back(word);
        else r.rest.push_back(word);
    }
    return r;
}

int complain(const Error& e) {
    std::fflush(stdout);
    std::fprintf(stderr, "calque: %s\n", e.message.c_str());
    return kUnusable;
}

std::string number(u64 n) { return std::to_string(n); }

Result<std::unique_ptr<Lockstep>> make(const Start& a, const Start& b) {
    auto first = Lane::create(a);
    if (!first) return first.error();
    auto second = Lane::create(b);
    if (!second) return second.error();
    return std::make_unique<Lockstep>(std::move(*first), std::move(*second));
}

void print(const std::vector<exec::Difference>& differences, bool a_first) {
    constexpr size_t kMost = 20;
    const size_t shown = differences.size() > kMost ? kMost - 1 : differences.size();
    for (const exec::Difference& d : std::span{differences}.first(shown))
        std::printf("  %s: %s, not %s\n", d.what.c_str(), (a_first ? d.expected : d.actual).c_str(), (a_first ? d.actual : d.expected).c_str());
    if (shown < differences.size()) std::printf("  and %zu more\n", differences.size() - shown);
}

/// The instruction that ends at `count`, as the second machine has it, and how the two differ after it.
Result<void> name_difference(Lockstep& l, u64 count) {
    const auto differences = l.differences();
    std::printf("They differ after instruction %" PRIu64 ":\n", count);
    print(differences, true);
    if (auto r = l.b_to(count ? count - 1 : 0); !r) return r;
    std::printf("Before it:\n  %s\n", exec::next_instruction(l.b().machine().cpu()).c_str());
    return {};
}

Result<void> write_case(const std::string& path, const exec::Case& c) {
    std::FILE* const f = std::fopen(path.c_str(), "w");
    if (!f) return cannot_write(path);
    const bool good = std::fprintf(f, "%s\n", exec::case_json(c).c_str()) > 0;
    return std::fclose(f) == 0 && good ? Result<void>{} : cannot_write(path);
}

/// Runs both up to an instruction, and says where they part; with a reproducer, if there is one.
Result<int> compare(const Start& a, const Start& b, u64 until, const Request& r) {
    auto lockstep = make(a, b);
    if (!lockstep) return lockstep.error();
    Lockstep& l = **lockstep;
    l.on_step = [](u64 at, bool) { std::fprintf(stderr, "\r%" PRIu64 " ", at); };
    if (l.run(until, r.step)) {
        std::fprintf(stderr, "\r");
        const std::string& end = l.a().ended();
        std::printf("%s and %s are the same up to instruction %" PRIu64 "%s%s\n", a.executor.text().c_str(), b.executor.text().c_str(), l.kept(), end.empty() ? "" : ": ", end.c_str());
        return kSame;
    }
    std::fprintf(stderr, "\r");
    auto count = l.narrow();
    if (!count) return count.error();
    std::printf("%s and %s ", a.executor.text().c_str(), b.executor.text().c_str());
    std::printf("are the same up to instruction %" PRIu64 ".\n", *count - 1);
    auto reproducer = make_reproducer(l, *count);
    if (auto again = l.both_to(*count); !again) return again.error();
    if (auto named = name_difference(l, *count); !named) return named.error();
    if (!reproducer) {
        std::printf("There is no reproducer: %s.\n", reproducer.error().message.c_str());
        return kDiffer;
    }
    exec::Case& c = reproducer->c;
    c.name = a.executor.text() + " after instruction " + number(reproducer->end);
    std::printf("%s\n  %s\n", reproducer->itself ? "The instruction that is wrong by itself:" : ("The last of " + number(c.steps) + " instructions that show it:").c_str(),
                reproducer->instruction.c_str());
    if (!reproducer->itself) std::printf("The first of them:\n  %s\n", reproducer->first.c_str());
    print(reproducer->differences, false);
    if (auto w = write_case(r.path, c); !w) return w.error();
    std::printf("calque exec --engine %s %s fails.\n", a.executor.jit ? "jit" : "interp", r.path.c_str());
    return kDiffer;
}

Result<int> verify(const Request& r) {
    std::vector<std::string> words = r.rest;
    if (!r.files.empty()) words.insert(words.begin(), {"replay", r.files[0]});
    auto options = parse_options(words);
    if (!options) return options.error();
    if (!options->record.empty() || !options->save.empty() || !options->gdb.empty() || !options->control.empty())
        return Error{"calque verify has no --record, --save, --gdb and --control"};
    if (options->clock == ClockMode::host) return Error{"calque verify cannot follow the host's clock; verify a recording instead"};
    Start a{options->machine, options->load, options->replay, {}}, b = a;
    a.config.serial.resize(options->serial.empty() ? 1 : options->serial.size());
    a.config.parallel.resize(options->parallel.size());
    if (options->rtc_epoch) a.config.rtc_epoch = *options->rtc_epoch;
    b.config = a.config;
    for (const auto& [start, text] : {std::pair{&a, r.a.empty() ? "jit" : r.a}, std::pair{&b, r.b.empty() ? kReference : r.b}}) {
        auto e = Executor::parse(text);
        if (!e) return e.error();
        if (e->jit && !jit::Engine::has_jit()) return Error{"this build has no JIT"};
        start->executor = *e;
    }
    return compare(a, b, options->stop_at.value_or(~u64{0}), r);
}

/// Which of the two states the executor comes to.
Result<void> take_side(const Start& s, const Parting& p) {
    auto lane = Lane::create(s);
    if (!lane) return lane.error();
    (*lane)->run_to(p.differ);
    const u64 hash = (*lane)->machine().state_hash();
    std::printf("From there %s comes to %s.\n", s.executor.text().c_str(), hash == p.hash_a ? "what the first has" : hash == p.hash_b ? "what the second has" : "neither");
    return {};
}

Result<int> bisect_streams(const Request& r, const Executor& engine) {
    auto streams = Streams::open(r.files[0], r.files[1]);
    if (!streams) return streams.error();
    auto parting = find_parting(*streams);
    if (!parting) return parting.error();
    const std::vector<u64>& counts = streams->counts;
    if (!*parting) return std::printf("The streams are the same from instruction %" PRIu64 " to %" PRIu64 ", the last that both have\n", counts.front(), counts.back()), kSame;
    const Parting& p = **parting;
    const auto at = [&](const std::string& folder, u64 count) { return Start{{}, folder + "/" + stream_name(count), {}, engine}; };
    auto ends = make(at(streams->a, p.differ), at(streams->b, p.differ));
    if (!ends) return ends.error();
    std::printf("The streams are the same at instruction %" PRIu64 ". At %" PRIu64 " they differ:\n", p.same, p.differ);
    print((*ends)->differences(), true);
    ends->reset();
    Start suspect = at(streams->a, p.same), reference = suspect;
    reference.executor = *Executor::parse(kReference);
    for (const Start& s : {suspect, reference})
        if (auto tried = take_side(s, p); !tried) return tried.error();
    std::fflush(stdout);
    auto status = compare(suspect, reference, p.differ, r);
    if (!status) return status;
    if (*status == kSame) std::printf("So what differs are not these executors, but builds, or what came from outside.\n");
    return kDiffer;
}

Result<int> bisect(const Request& r) {
    if (r.files.size() != 2 || !r.rest.empty()) return Error{"calque bisect takes the names of two recordings, or of two folders of snapshots; see calque bisect --help"};
    auto executor = Executor::parse(r.engine);
    if (!executor) return executor.error();
    if (std::error_code e; std::filesystem::is_directory(r.files[0], e) && std::filesystem::is_directory(r.files[1], e)) return bisect_streams(r, *executor);
    Start a{{}, {}, r.files[0], *executor}, b{{}, {}, r.files[1], *executor};
    auto lockstep = make(a, b);
    if (!lockstep) return lockstep.error();
    Lockstep& l = **lockstep;
    const u64 begin = l.a().machine().icount();
    if (!l.same()) return Error{"the recordings do not begin with the same machine"};
    l.on_step = [](u64 at, bool) { std::fprintf(stderr, "\r%" PRIu64 " ", at); };
    const bool same = l.run(~u64{0}, r.step);
    std::fprintf(stderr, "\r");
    if (same) return std::printf("The recordings are the same up to their end, from instruction %" PRIu64 " to %" PRIu64 "\n", begin, l.kept()), kSame;
    auto count = l.narrow();
    if (!count) return count.error();
    std::printf("The recordings are the same up to instruction %" PRIu64 ", in section %" PRIu64 " of the first and %" PRIu64 " of the second.\n", *count - 1,
                l.a().player()->checks(), l.b().player()->checks());
    if (auto named = name_difference(l, *count); !named) return named.error();
    return kDiffer;
}

int run(const std::vector<std::string>& arguments, const char* name, const char* help, std::vector<std::pair<std::string, std::string Request::*>> own,
        Result<int> (*command)(const Request&)) {
    auto request = parse(arguments, name, std::move(own));
    if (!request) return complain(request.error());
    if (request->help) return std::fputs(help, stdout), kSame;
    try {
        auto status = command(*request);
        return status ? *status : complain(status.error());
    } catch (const std::exception& e) {   // the host has run out of something
        return complain({e.what()});
    }
}
}  // namespace

int verify_command(const std::vector<std::string>& arguments) {
    return run(arguments, "verify", kVerifyHelp, {{"--a", &Request::a}, {"--b", &Request::b}, {"--case", &Request::path}}, verify);
}

int bisect_command(const std::vector<std::string>& arguments) { return run(arguments, "bisect", kBisectHelp, {{"--engine", &Request::engine}, {"--case", &Request::path}}, bisect); }
}  // namespace calque::verify
