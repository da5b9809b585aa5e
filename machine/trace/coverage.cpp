#include "machine/trace/coverage.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "support/little_endian.h"

namespace calque {
namespace {
constexpr u64 kWindow = u64{1} << 32;       // what an entry's offset reaches
constexpr size_t kMostModules = 0xffff;     // what its module number reaches
constexpr size_t kEntry = 8;                // offset u32, size u16, module u16
}  // namespace

Result<std::unique_ptr<Coverage>> Coverage::start(const std::string& path, std::vector<CoverageModule> modules) {
    auto file = NewFile::create(path);
    if (!file) return file.error();
    return std::unique_ptr<Coverage>{new Coverage{path, std::move(*file), std::move(modules)}};
}

// Code is lifted again when it was dropped or is entered at another place, so doubles are taken out now and then.
void Coverage::lifted(u64 code, unsigned bytes) {
    if (full_) return;
    blocks_.push_back({code, static_cast<u16>(bytes)});
    if (blocks_.size() >= 2 * tidied_ + 4096) tidy();
}

void Coverage::tidy() {
    std::sort(blocks_.begin(), blocks_.end());
    blocks_.erase(std::unique(blocks_.begin(), blocks_.end()), blocks_.end());
    tidied_ = blocks_.size();
    full_ = tidied_ >= kMost;
}

// Blocks come in order, so that the window of the last one is the one or a new one.
size_t Coverage::module_of(u64 code) {
    for (size_t n = 0; n < named_; ++n)
        if (modules_[n].first <= code && code <= modules_[n].last) return n;
    if (modules_.size() == named_ || code > modules_.back().last) {
        char name[40];
        const u64 first = code & ~(kWindow - 1);
        std::snprintf(name, sizeof name, "guest-%016" PRIx64, first);
        modules_.push_back({name, first, first + (kWindow - 1)});
    }
    return modules_.size() - 1;
}

std::string Coverage::text() {
    std::string table;
    size_t count = 0;
    for (const Block& b : blocks_) {
        const size_t module = module_of(b.code);
        if (module >= kMostModules) {
            full_ = true;
            break;
        }
        u8 entry[kEntry];
        store_little(entry, b.code - modules_[module].first, 4), store_little(entry + 4, b.bytes, 2), store_little(entry + 6, module, 2);
        table.append(reinterpret_cast<const char*>(entry), kEntry);
        ++count;
    }
    const size_t modules = std::min(modules_.size(), kMostModules);
    std::string out = "DRCOV VERSION: 2\nDRCOV FLAVOR: drcov\nModule Table: version 2, count " + std::to_string(modules) + "\nColumns: id, base, end, entry, path\n";
    for (size_t n = 0; n < modules; ++n) {
        char line[100];
        std::snprintf(line, sizeof line, "%3zu, 0x%016" PRIx64 ", 0x%016" PRIx64 ", 0x%016x, ", n, modules_[n].first, modules_[n].last + 1, 0);
        out += line + modules_[n].name + "\n";
    }
    return out + "BB Table: " + std::to_string(count) + " bbs\n" + table;
}

Result<void> Coverage::finish() {
    tidy();
    if (auto r = file_->write(text()); !r) return r;
    if (auto r = file_->commit(); !r) return r;
    if (full_) return Error{"the guest has run more different code than the coverage '" + path_ + "' can have; some is missing there"};
    return {};
}
}  // namespace calque
