#include "machine/trace/tracer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "cpu/inspect.h"
#include "cpu/mmu.h"
#include "cpu/model.h"
#include "machine/snapshot/new_file.h"
#include "support/little_endian.h"

namespace calque {
namespace {
// The records' form, for whoever finds such a file without us (docs/tracing.md says the same).
constexpr const char kForm[] =
    "records are a byte, kind + 16 * flags, and what follows; n: LEB128; d: LEB128 of the zigzag difference to what is expected\n"
    "0 context      flags code size (0: 16, 1: 32, 2: 64) + 4 * ring; n CS, n its base, n CR3\n"
    "1 instruction  flags length; d count (one more than the last), d linear address (behind the last), bytes\n"
    "2 read 3 write flags system + 2 * log2 of the size (7: n size); d linear address (behind the last access), bytes\n"
    "4 in 5 out     flags 2 * log2 of the size; n port, bytes\n"
    "6 delivery     flags cause (0: exception, 1: software, 2: external) + 4 * error; vector byte, n error\n"
    "7 place        d count, d linear address of the instruction that the following belong to\n";
}  // namespace

Tracer::Tracer(Cpu& cpu, int fd, const std::string& path, const TraceFilter& filter)
    : cpu_{cpu}, s_{cpu.state()}, filter_{filter}, fd_{fd}, out_{fd, path, kTraceMagic} {}

Tracer::~Tracer() { ::close(fd_); }

Result<std::unique_ptr<Tracer>> Tracer::start(Cpu& cpu, const std::string& path, const TraceFilter& filter, const std::string& filter_text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0) return cannot_write(path);
    std::unique_ptr<Tracer> t{new Tracer{cpu, fd, path, filter}};
    t->header(filter_text);
    if (auto ok = t->out_.result(); !ok) return ok.error();
    return t;
}

void Tracer::header(const std::string& filter_text) {
    const std::string text = "cpu " + cpu_.model().name + "\nbegin " + std::to_string(cpu_.icount()) + "\nfilter " + filter_text + "\n" + kForm;
    out_.add("header", 1, 0, {reinterpret_cast<const u8*>(text.data()), text.size()});
}

TracePlace Tracer::place(u64 count, u64 rip) const {
    TracePlace p{.count = count, .ring = s_.cpl, .cs = s_.seg[CS].selector, .cr3 = s_.cr3};
    p.bits = s_.code64() ? 64 : s_.x.mode.bits & mode::Code32 ? 32 : 16;
    p.base = s_.code64() ? 0 : s_.x.mode.base;
    p.linear = s_.linear_of(rip);
    return p;
}

void Tracer::add(const TraceRecord& r) {
    records_.add(r);
    if (records_.size() >= kTraceSection) (void)flush();   // result() keeps what it says
}

Result<void> Tracer::flush() {
    if (records_.size()) out_.add("records", 1, sections_++, records_.take());
    return out_.result();
}

Result<void> Tracer::finish() {
    if (auto r = flush(); !r) return r;
    return out_.finish();
}

u64 Tracer::attend(u64 icount) {
    following_ = false;
    if ((!filter_.instructions && !filter_.memory) || icount > filter_.count.last || !out_.result()) return ~u64{0};
    if (icount < filter_.count.first) return filter_.count.first;
    now_ = place(icount, s_.x.rip);
    following_ = wanted(now_);
    if (!following_ || !filter_.instructions) return icount;
    u8 bytes[15];
    const unsigned length = fetch(now_.linear, bytes);
    add({.kind = TraceRecord::Kind::instruction, .at = now_, .bytes = {bytes, length}});
    return icount;
}

// As the processor will read them: what it remembers of the page tables comes before what they say now.
unsigned Tracer::fetch(u64 linear, u8 (&bytes)[15]) const {
    unsigned count = 0;
    while (count < sizeof bytes) {
        const u64 at = s_.code64() ? linear + count : (linear + count) & 0xffffffff;
        const unsigned n = static_cast<unsigned>(std::min<u64>(sizeof bytes - count, 4096 - at % 4096));
        const PageEntry* const e = s_.mmu->find(at >> 12);
        if (e && e->host) std::copy_n(e->host + at % 4096, n, bytes + count);
        else if (e || !read_linear_quietly(cpu_, at, {bytes + count, n})) break;
        count += n;
    }
    Insn in;
    const Decode d = decode(bytes, count, now_.rip(), s_.x.mode, cpu_.features(), in);
    return d == Decode::more || d == Decode::too_long || !in.length ? count : std::min<unsigned>(in.length, count);
}

void Tracer::accessed(u64 linear, const u8* bytes, unsigned size, bool write, bool system) {
    if (!following_ || !filter_.memory) return;
    const auto meets = [&](const TraceFilter::Range& r) { return linear <= r.last && r.first <= linear + (size - 1); };
    if (!filter_.data.empty() && std::none_of(filter_.data.begin(), filter_.data.end(), meets)) return;
    add({.kind = write ? TraceRecord::Kind::write : TraceRecord::Kind::read, .at = now_, .address = linear, .system = system, .bytes = {bytes, size}});
}

void Tracer::port(u64 rip, u16 port, u32 value, unsigned size, bool write) {
    if (!filter_.ports) return;
    const TracePlace p = place(s_.x.icount(), rip);
    if (!wanted(p)) return;
    u8 bytes[4];
    store_little(bytes, value, 4);
    add({.kind = write ? TraceRecord::Kind::out : TraceRecord::Kind::in, .at = p, .address = port, .bytes = {bytes, size}});
}

void Tracer::delivered(const Debug::Delivery& d) {
    using Kind = Debug::Delivery::Kind;
    now_ = place(d.icount, d.kind == Kind::software ? cpu_.running_rip() : d.rip);   // what it reads and pushes belongs there too
    following_ = wanted(now_);
    if (!filter_.interrupts || !following_) return;
    TraceRecord r{.kind = TraceRecord::Kind::delivery, .at = now_, .vector = d.vector};
    r.cause = d.kind == Kind::exception ? TraceRecord::Cause::exception : d.kind == Kind::software ? TraceRecord::Cause::software : TraceRecord::Cause::external;
    if (d.has_error) r.error = d.error;
    add(r);
}
}  // namespace calque
