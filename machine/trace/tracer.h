// Writes a trace of what a processor does (docs/tracing.md). Instructions and accesses to memory make it go one instruction at a time;
// outside of the counts that are wanted, and for interrupts and ports alone, it runs as always.
#pragma once
#include <memory>
#include <string>

#include "cpu/observer.h"
#include "machine/snapshot/sections.h"
#include "machine/trace/filter.h"
#include "machine/trace/record.h"

namespace calque {

class Tracer final : public Observer {
public:
    /// `filter_text` goes into the file, for whoever reads it. The processor's observer has to be set to this.
    static Result<std::unique_ptr<Tracer>> start(Cpu&, const std::string& path, const TraceFilter&, const std::string& filter_text);
    ~Tracer() override;
    Tracer(const Tracer&) = delete;
    /// Everything so far is in the file.
    Result<void> flush();
    Result<void> finish();
    /// What writing has come to.
    Result<void> result() const { return out_.result(); }

    u64 attend(u64 icount) override;
    void accessed(u64 linear, const u8* bytes, unsigned size, bool write, bool system) override;
    void port(u64 rip, u16 port, u32 value, unsigned size, bool write) override;
    void delivered(const Debug::Delivery&) override;

private:
    Tracer(Cpu&, int fd, const std::string& path, const TraceFilter&);
    void header(const std::string& filter_text);
    TracePlace place(u64 count, u64 rip) const;
    bool wanted(const TracePlace& p) const { return filter_.count.has(p.count) && filter_.passes(p.linear, p.ring, p.cr3); }
    void add(const TraceRecord&);
    unsigned fetch(u64 linear, u8 (&bytes)[15]) const;

    Cpu& cpu_;
    const CpuState& s_;
    const TraceFilter filter_;
    int fd_;
    SectionWriter out_;
    TraceEncoder records_;
    u64 sections_ = 0;
    TracePlace now_;           // of the instruction that goes by itself
    bool following_ = false;   // and its accesses are wanted
};
}  // namespace calque
