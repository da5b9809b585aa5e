#include "machine/trace/profiler.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <vector>

#include "cpu/cpu.h"
#include "machine/snapshot/new_file.h"

namespace calque {
namespace {
constexpr u64 kPiece = 64;   // of code without symbols

std::string hex(const char* format, u64 v) {
    char text[40];
    std::snprintf(text, sizeof text, format, v);
    return text;
}
}  // namespace

Profiler::Profiler(Cpu& cpu, u64 every, const Symbols& symbols)
    : s_{cpu.state()}, symbols_{symbols}, every_{every}, first_{cpu.icount()}, next_{(first_ / every + 1) * every} {}

u64 Profiler::attend(u64 icount) {
    if (icount >= next_) {
        sample();
        next_ = (icount / every_ + 1) * every_;
    }
    return next_;
}

void Profiler::sample() {
    ++samples_;
    const Place p{s_.linear_of(s_.x.rip), s_.cpl == 3 ? s_.cr3 & ~u64{0xfff} : 0, s_.cpl};
    if (const auto known = places_.find(p); known != places_.end()) ++known->second;
    else if (places_.size() < kMost) places_.emplace(p, 1);
    else ++elsewhere_;
}

std::string Profiler::report(size_t lines) const {
    std::map<std::string, u64> sums;
    for (const auto& [p, count] : places_) {
        std::string name = "ring " + std::to_string(p.ring) + "  ";
        if (const auto symbol = symbols_.find(p.code)) name += symbol->name;
        else name += hex("%016" PRIx64, p.code & ~(kPiece - 1)) + "-" + hex("%02" PRIx64, (p.code | (kPiece - 1)) & 0xff) + (p.ring == 3 ? hex("  cr3 %" PRIx64, p.cr3) : "");
        sums[name] += count;
    }
    if (elsewhere_) sums["places beyond the first " + std::to_string(kMost)] += elsewhere_;
    std::vector<std::pair<std::string, u64>> order{sums.begin(), sums.end()};
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    std::string out = "instructions " + std::to_string(first_) + " to " + std::to_string(s_.x.icount()) + ", looked at every " + std::to_string(every_) +
                      ": " + std::to_string(samples_) + " times in " + std::to_string(order.size()) + " places\n";
    for (size_t n = 0; n < std::min(lines, order.size()); ++n) {
        char line[64];
        std::snprintf(line, sizeof line, "%6.2f %%  %8" PRIu64 "  ", 100.0 * static_cast<double>(order[n].second) / static_cast<double>(samples_), order[n].second);
        out += line + order[n].first + "\n";
    }
    return out;
}

// ---- perf

std::string PerfMap::usual_path() { return "/tmp/perf-" + std::to_string(::getpid()) + ".map"; }

// Its name can be foreseen, and everybody may write to the folder: a file that is there already is not ours.
Result<std::unique_ptr<PerfMap>> PerfMap::start(const std::string& path, const Symbols& symbols) {
    ::unlink(path.c_str());
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    std::FILE* const file = fd < 0 ? nullptr : ::fdopen(fd, "w");
    if (!file) return cannot_write(path);
    return std::unique_ptr<PerfMap>{new PerfMap{file, path, symbols}};
}

PerfMap::~PerfMap() { std::fclose(file_); }

Result<void> PerfMap::flush() {
    if (std::fflush(file_) != 0 || std::ferror(file_)) return cannot_write(path_);
    return {};
}

void PerfMap::translated(u64 code, const u8* host, size_t size) {
    const auto symbol = symbols_.find(code);
    const std::string name = symbol ? symbol->name + hex("+0x%" PRIx64, symbol->offset) : hex("guest_%016" PRIx64, code);
    std::fprintf(file_, "%" PRIxPTR " %zx %s\n", reinterpret_cast<uintptr_t>(host), size, name.c_str());
}
}  // namespace calque
