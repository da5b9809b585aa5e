#include "machine/trace/reader.h"

#include <algorithm>

namespace calque {
namespace {
constexpr u64 kHeaderLimit = 1 << 16, kRecordsLimit = 2 * kTraceSection;
}  // namespace

bool passes(const TraceFilter& f, const TraceRecord& r) {
    using Kind = TraceRecord::Kind;
    if (!f.count.has(r.at.count) || !f.passes(r.at.linear, r.at.ring, r.at.cr3)) return false;
    const auto meets = [&](const TraceFilter::Range& x) { return r.address <= x.last && x.first <= r.address + (r.bytes.size() - 1); };
    switch (r.kind) {
    case Kind::instruction: return f.instructions;
    case Kind::read:
    case Kind::write: return f.memory && (f.data.empty() || std::any_of(f.data.begin(), f.data.end(), meets));
    case Kind::in:
    case Kind::out: return f.ports;
    default: return f.interrupts;
    }
}

Result<std::unique_ptr<TraceReader>> TraceReader::open(const std::string& path) {
    auto in = SectionReader::open(path, kTraceMagic, "trace");
    if (!in) return in.error();
    std::unique_ptr<TraceReader> r{new TraceReader{std::move(*in)}};
    if (auto ok = r->header(); !ok) return ok.error();
    return r;
}

Result<void> TraceReader::header() {
    if (in_->next() != SectionReader::Next::section || !in_->is("header")) return in_->damaged("it does not begin with its header");
    if (in_->section().version != 1)
        return in_->unknown("its records have form number " + std::to_string(in_->section().version) + ", and this version of Calque reads number 1");
    const auto bytes = in_->read(kHeaderLimit);
    if (!bytes) return bytes.error();
    const std::string text{bytes->begin(), bytes->end()};
    if (!text.starts_with("cpu ")) return in_->damaged("its header does not say what processor it is of");
    cpu_ = text.substr(4, text.find('\n') - 4);
    return {};
}

Result<void> TraceReader::read(const TraceFilter& filter, const std::function<bool(const TraceRecord&)>& take) {
    for (u64 sections = 0;; ++sections) {
        const auto next = in_->next();
        if (next == SectionReader::Next::end) return {};
        cut_ = next == SectionReader::Next::cut || !in_->whole();
        if (cut_) return {};
        if (!in_->is("records") || in_->section().index != sections) return in_->damaged("its section '" + in_->section().name + "' does not belong there");
        const auto bytes = in_->read(kRecordsLimit);
        if (!bytes) return bytes.error();
        TraceDecoder decoder{*bytes};
        while (const auto r = decoder.next())
            if (passes(filter, *r) && !take(*r)) return {};
        if (!decoder.ok()) return in_->damaged("its section " + std::to_string(sections) + " of records has something else in it");
    }
}
}  // namespace calque
