// The second machine is taken to some instructions before the difference, and both executors run from there on a processor alone, with that
// machine's memory behind them. When they differ, what they have touched is what the case needs: code, data and page tables, whatever the
// fault is. The nearest beginning that shows the difference is looked for, then the first instruction that does, then all that does not
// matter is taken out.
//
// A fault that lies in what a cache still holds has its cause in the past. So beginnings are also tried with warm caches. Translations that the
// first machine has in the end though their bytes have changed are made from the old bytes, and the new ones are stored; page walks that it
// remembers though the tables have changed are made by an old entry, and a new one is stored and the walk voided; or else pages are walked for
// that its inline TLB holds.
#include "machine/verify/reproducer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cpu/inspect.h"
#include "machine/state_hash.h"

namespace calque::verify {
namespace {
using exec::Case, exec::MemoryItem, exec::Mode, exec::Outcome, exec::RegisterItem, exec::Rig, exec::next_instruction;
constexpr u64 kPage = 4096;
constexpr u64 kNear = 4096, kFarthest = 80'000'000;   // instructions back: at first, and at most
constexpr unsigned kShrinkRuns = 4000;
constexpr u64 kLastRun = 64;            // instructions, at most as many as a block has
constexpr u64 kSlowCase = 100'000;      // steps of a case that is not run thousands of times

std::optional<Mode> mode_of(const CpuState& s) {
    const bool code32 = s.x.mode.bits & mode::Code32;
    if (!s.protected_mode()) return Mode::real16;
    if (s.vm86()) return Mode::vm86;
    if (s.code64()) return Mode::long64;
    if (s.long_active()) return code32 ? std::optional{Mode::compat32} : std::nullopt;
    return code32 ? Mode::protected32 : Mode::protected16;
}

/// The processor of a machine as a case without memory.
std::optional<Case> registers_of(Machine& m) {
    const CpuState& s = m.cpu().state();
    const auto mode = mode_of(s);
    if (!mode || s.halted || s.shut_down || s.smm) return {};
    Case c;
    c.mode = *mode, c.cpl = s.cpl, c.ram = exec::kMostRam;
    if (!m.config().cpu_model.empty()) c.cpu = m.config().cpu_model;
    for (const Register* r : state_registers(m.cpu())) c.regs.push_back({r, read_register(m.cpu(), *r)});
    return c;
}

struct Ran {
    Outcome a, b;
    std::vector<exec::Difference> differences;
    u64 retired = 0;   // on b
};

class Search {
public:
    explicit Search(Lockstep& l)
        : lockstep_{l}, a_{l.a().machine().cpu().model(), l.a().start().executor.jit, l.a().start().executor.disable},
          b_{l.b().machine().cpu().model(), l.b().start().executor.jit, l.b().start().executor.disable} {}

    Result<Reproducer> run(u64 end);

private:
    void look_at_caches(u64 end);
    struct OldCode {
        u64 linear, physical;
        std::vector<u8> bytes;
    };
    void put_old_code(Case&, const OldCode&);
    void put_old_walk(Case&, const Cpu::OldWalk&);
    void put_pages(Case&);
    bool try_from(u64 begin, u64 end);
    bool differ(const Case&, const std::function<const u8*(u64)>& memory);
    std::optional<u64> nearest(u64 end, u64 farthest, u64 known = 0);
    void fewest_steps();
    void fewest_warm();
    void give_memory();
    void shrink();
    bool fails_alike(const Case&);
    bool still() { return ++runs_ <= kShrinkRuns && fails_alike(case_); }   // with something left out
    template <class T, class F>
    void drop(std::vector<T>&, F still_so);
    void drop_bytes(size_t item);
    void name(Reproducer&);
    void expect();

    Lockstep& lockstep_;
    Rig a_, b_;
    Case case_;
    std::vector<OldCode> old_code_;   // that the first machine has in the end
    std::vector<Cpu::OldWalk> old_walks_;
    std::vector<u64> pages_;          // that its inline TLB holds
    enum class Warm { none, code, invlpg, cr3, pages } warm_ = Warm::none;   // what cases begin with
    Ran last_;
    const std::function<const u8*(u64)> source_ = [this](u64 page) -> const u8* { return lockstep_.b().machine().memory().page(page).host; };
    std::vector<std::string> wanted_;   // what has to differ
    unsigned runs_ = 0;
};

bool Search::differ(const Case& c, const std::function<const u8*(u64)>& memory) {
    last_ = {};
    if (!b_.load(c, memory) || !a_.load(c, memory)) return false;
    const u64 begun = b_.cpu().icount();
    last_.b = b_.run(c);
    last_.retired = b_.cpu().icount() - begun;
    if (last_.b.end != Outcome::End::steps && last_.b.end != Outcome::End::halted) return false;
    last_.a = a_.run(c);
    last_.differences = exec::compare_engines(c, b_, last_.b, a_, last_.a);
    return !last_.differences.empty();
}

// Old translations matter where the last instructions have entered them.
void Search::look_at_caches(u64 end) {
    Machine& a = lockstep_.a().machine();
    pages_ = a.cpu().inline_pages();
    old_walks_ = a.cpu().old_walks();
    std::vector<jit::Engine::Outdated> old = a.cpu().engine().outdated();
    if (old.empty() || !lockstep_.b_to(end - std::min(end, kLastRun))) return;
    Machine& b = lockstep_.b().machine();
    const auto c = registers_of(b);
    if (!c || !b_.load(*c, source_)) return;
    std::vector<u64> run;
    for (Cpu& cpu = b_.cpu(); run.size() < kLastRun; cpu.run_instructions(1, cpu.icount() + kLastRun)) run.push_back(cpu.state().linear_of(cpu.state().x.rip));
    for (jit::Engine::Outdated& o : old) {
        const u64 in_page = o.linear % kPage;
        const auto page = a.memory().address_of(o.host - in_page);
        if (page && std::find(run.begin(), run.end(), o.linear) != run.end()) old_code_.push_back({o.linear, *page + in_page, std::move(o.bytes)});
    }
}

void Search::put_old_code(Case& c, const OldCode& o) {
    const u8* const now = source_(o.physical & ~(kPage - 1)) + o.physical % kPage;
    size_t first = 0, last = o.bytes.size();   // what has changed: where a store begins may matter
    while (first < last && now[first] == o.bytes[first]) ++first;
    while (last > first && now[last - 1] == o.bytes[last - 1]) --last;
    c.mem.push_back({o.physical, o.bytes, true});
    c.warm.code.push_back(o.linear);
    c.warm.stores.push_back({o.physical + first, {now + first, now + last}, true});
}

void Search::put_old_walk(Case& c, const Cpu::OldWalk& o) {
    constexpr u64 kPresent = 1, kWritable = 2, kUser = 4, kAccessed = 0x20, kDirty = 0x40, kNoExec = u64{1} << 63;
    std::vector<PageStep> steps;
    translate_quietly(lockstep_.b().machine().cpu(), o.linear, &steps);
    if (steps.empty() || std::string_view{steps.back().table} != "PT") return;
    const PageStep& leaf = steps.back();
    const u64 old = o.paddr | kPresent | kAccessed | (o.dirty ? kDirty : 0) | (o.writable ? kWritable : 0) | (o.user ? kUser : 0) | (o.no_exec && leaf.size == 8 ? kNoExec : 0);
    const auto bytes = [&](u64 entry) { return std::vector<u8>{reinterpret_cast<const u8*>(&entry), reinterpret_cast<const u8*>(&entry) + leaf.size}; };
    c.mem.push_back({leaf.at, bytes(old), true});
    c.warm.data.push_back(o.linear);
    c.warm.stores.push_back({leaf.at, bytes(leaf.entry), true});
    if (warm_ == Warm::invlpg) c.warm.invlpg.push_back(o.linear);
    else c.warm.cr3 = true;
}

/// As far as it can be done in the case's state.
void Search::put_pages(Case& c) {
    if (!b_.load(c, source_)) return;
    c.warm.data = pages_;
    std::erase_if(c.warm.data, [&](u64 at) { return !b_.cpu().touch(at); });
}

// As many steps as it takes the second executor to get there: a repeated instruction is one, also when the end is in the middle of it.
bool Search::try_from(u64 begin, u64 end) {
    if (!lockstep_.b_to(begin)) return false;
    Machine& m = lockstep_.b().machine();
    auto c = registers_of(m);
    if (!c || m.icount() != begin) return false;
    if (!b_.load(*c, source_)) return false;
    Cpu& cpu = b_.cpu();
    const u64 before = cpu.instructions();
    cpu.run_instructions(exec::kMostSteps, cpu.icount() + (end - begin));
    c->steps = cpu.instructions() - before + cpu.state().tracing.repeating;
    if (warm_ == Warm::pages) put_pages(*c);
    if (warm_ == Warm::code)
        for (const OldCode& o : old_code_) put_old_code(*c, o);
    if (warm_ == Warm::invlpg || warm_ == Warm::cr3)
        for (const Cpu::OldWalk& o : old_walks_) put_old_walk(*c, o);
    if (!c->steps || !differ(*c, source_)) return false;
    case_ = *c;
    return true;
}

// From `known` and nearer it does not show.
std::optional<u64> Search::nearest(u64 end, u64 farthest, u64 known) {
    u64 near = known, far = std::min(std::max<u64>(1, 2 * known), end);
    while (!try_from(end - far, end)) {
        if (far >= end || far >= farthest) return {};
        near = far;
        far = std::min(far * 2, end);
    }
    while (far - near > 1) {
        const u64 middle = near + (far - near) / 2;
        (try_from(end - middle, end) ? far : near) = middle;
    }
    if (!try_from(end - far, end)) return {};
    return end - far;
}

void Search::fewest_steps() {
    const auto shows = [&](u64 steps) {
        Case c = case_;
        c.steps = steps;
        return differ(c, source_);
    };
    u64 high = 1, low = 0;
    while (high < case_.steps && !shows(high)) low = high, high *= 2;
    high = std::min(high, case_.steps);
    while (high - low > 1) {
        const u64 middle = low + (high - low) / 2;
        (shows(middle) ? high : low) = middle;
    }
    case_.steps = high;
    differ(case_, source_);
}

void Search::fewest_warm() {
    drop(case_.warm.data, [&] { return differ(case_, source_); });
    differ(case_, source_);
}

// Whatever either executor has looked at, as it was; where the case says that it was something else before, that.
void Search::give_memory() {
    std::vector<u32> pages = a_.memory().touched();
    pages.insert(pages.end(), b_.memory().touched().begin(), b_.memory().touched().end());
    std::sort(pages.begin(), pages.end());
    pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
    const std::vector<MemoryItem> old = std::exchange(case_.mem, {});
    for (const u32 page : pages) {
        const u8* const host = source_(page);
        if (!host) continue;
        std::vector<u8> bytes{host, host + kPage};
        for (const MemoryItem& m : old)
            if (m.address / kPage == page / kPage) std::copy(m.bytes.begin(), m.bytes.end(), bytes.begin() + static_cast<i64>(m.address % kPage));
        const bool tables = page >= exec::Memory::kTables && page < exec::Memory::kTablesEnd;   // not zero to begin with
        if (tables || !is_zero(bytes)) case_.mem.push_back({page, std::move(bytes), true});
    }
}

// ---- taking out

bool Search::fails_alike(const Case& c) {
    if (!differ(c, {})) return false;
    std::vector<std::string> now;
    for (const exec::Difference& d : last_.differences) now.push_back(d.what);
    return now == wanted_;
}

/// Half of them at a time, then a quarter ...
template <class T, class F>
void Search::drop(std::vector<T>& list, F still_so) {
    for (size_t n = std::max<size_t>(list.size() / 2, 1); !list.empty(); n /= 2) {
        for (size_t at = 0; at < list.size();) {
            const auto first = list.begin() + static_cast<i64>(at), last = list.begin() + static_cast<i64>(std::min(list.size(), at + n));
            std::vector<T> gone{first, last};
            list.erase(first, last);
            if (still_so()) continue;
            list.insert(list.begin() + static_cast<i64>(at), gone.begin(), gone.end());
            at += n;
        }
        if (n <= 1) return;
    }
}

void Search::drop_bytes(size_t item) {
    std::vector<u8>& bytes = case_.mem[item].bytes;
    for (size_t n = bytes.size() / 2; n; n /= 2)
        for (size_t at = 0; at < bytes.size(); at += n) {
            const auto first = bytes.begin() + static_cast<i64>(at), last = bytes.begin() + static_cast<i64>(std::min(bytes.size(), at + n));
            if (std::all_of(first, last, [](u8 b) { return b == 0; })) continue;
            const std::vector<u8> old{first, last};
            std::fill(first, last, u8{0});
            if (!still()) std::copy(old.begin(), old.end(), first);
        }
}

/// Without the zeros that memory has anyway.
std::vector<MemoryItem> runs_of(const MemoryItem& m) {
    constexpr size_t kGap = 8;
    std::vector<MemoryItem> out;
    if (m.address >= exec::Memory::kTables && m.address < exec::Memory::kTablesEnd) return {m};
    size_t zeros = kGap;
    for (size_t i = 0; i < m.bytes.size(); ++i) {
        if (!m.bytes[i]) {
            ++zeros;
            continue;
        }
        if (zeros >= kGap) out.push_back({m.address + i, {}, true});
        else out.back().bytes.insert(out.back().bytes.end(), zeros, 0);
        out.back().bytes.push_back(m.bytes[i]);
        zeros = 0;
    }
    return out;
}

void Search::shrink() {
    wanted_.clear();
    for (const exec::Difference& d : last_.differences) wanted_.push_back(d.what);
    if (case_.steps <= kSlowCase) {
        const auto so = [&] { return still(); };
        drop(case_.mem, so);
        drop(case_.regs, so);
        drop(case_.warm.data, so);
        drop(case_.warm.code, so);
        drop(case_.warm.stores, so);
        // A guest that does not void a walk may be served from it: then every executor would be right.
        std::erase_if(case_.warm.invlpg, [&](u64 at) { return std::find(case_.warm.data.begin(), case_.warm.data.end(), at) == case_.warm.data.end(); });
        for (size_t n = 0; n < case_.mem.size(); ++n) drop_bytes(n);
    }
    std::vector<MemoryItem> mem;
    for (const MemoryItem& m : case_.mem)
        for (MemoryItem& run : runs_of(m)) mem.push_back(std::move(run));
    case_.mem = std::move(mem);
    for (u64 ram = exec::kRam; ram < case_.ram; ram *= 2) {
        Case c = case_;
        c.ram = ram;
        if (!fails_alike(c)) continue;
        case_.ram = ram;
        break;
    }
}

// ---- the end

void Search::name(Reproducer& r) {
    Case c = case_;
    if (!b_.load(c)) return;
    r.first = r.instruction = next_instruction(b_.cpu());
    if (c.steps < 2) return;
    --c.steps;
    b_.run(c);
    r.instruction = next_instruction(b_.cpu());
}

/// What the second executor leaves where the first one does not.
void Search::expect() {
    Case c = case_;
    c.has_final = true;
    const Register* const rip = find_register("rip");
    c.final_regs.push_back({rip, b_.value(*rip)});
    for (const Register* r : b_.registers())
        if (r != rip && b_.value(*r) != a_.value(*r)) c.final_regs.push_back({r, b_.value(*r)});
    std::sort(c.final_regs.begin(), c.final_regs.end(), [](const RegisterItem& x, const RegisterItem& y) { return x.reg < y.reg; });
    const auto memory = [&](Rig& from) {
        for (const MemoryItem& m : from.changed_memory())
            for (u64 at = m.address, end = m.address + m.bytes.size(); at < end; ++at) {
                const u8 x = *a_.memory().host(at), y = *b_.memory().host(at);
                const bool known = std::any_of(c.final_mem.begin(), c.final_mem.end(), [&](const MemoryItem& k) { return k.address <= at && at < k.address + k.bytes.size(); });
                if (x == y || known) continue;
                if (!c.final_mem.empty() && c.final_mem.back().address + c.final_mem.back().bytes.size() == at) c.final_mem.back().bytes.push_back(y);
                else c.final_mem.push_back({at, {y}, true});
            }
    };
    memory(b_), memory(a_);
    case_ = std::move(c);
}

Result<Reproducer> Search::run(u64 end) {
    const Error none{"no run that ends there shows it on a processor without a machine around it"};
    look_at_caches(end);
    std::optional<u64> begin;
    const auto attempt = [&](Warm w, bool worth, u64 farthest, u64 known = 0) {
        if (!begin && worth) warm_ = w, begin = nearest(end, farthest, known);
    };
    attempt(Warm::code, !old_code_.empty(), kNear);
    attempt(Warm::none, true, kNear);
    attempt(Warm::invlpg, !old_walks_.empty(), kNear);
    attempt(Warm::cr3, !old_walks_.empty(), kNear);
    attempt(Warm::pages, true, kNear);
    attempt(Warm::none, end > kNear, kFarthest, kNear);
    if (!begin) return none;
    fewest_steps();
    fewest_warm();
    if (const u64 now = *begin + last_.retired; now < end) {   // it shows earlier; then perhaps from nearer by
        if (const auto nearer = nearest(now, kNear)) end = now, begin = nearer;
        else if (!lockstep_.b_to(*begin)) return none;
    }
    fewest_warm();
    if (last_.differences.empty()) return none;
    give_memory();
    if (!differ(case_, {})) return none;
    shrink();
    if (!differ(case_, {})) return none;
    expect();
    Reproducer r;
    r.begin = *begin, r.end = end, r.differences = last_.differences;
    // As calque exec will see it.
    for (Rig* rig : {&b_, &a_}) {
        if (!rig->load(case_)) return none;
        const Outcome o = rig->run(case_);
        const auto d = exec::compare(case_, *rig, o);
        if (!d || d->empty() != (rig == &b_)) return none;
    }
    name(r);
    r.itself = case_.steps == 1;
    r.c = std::move(case_);
    return r;
}
}  // namespace

Result<Reproducer> make_reproducer(Lockstep& l, u64 end) { return Search{l}.run(end); }
}  // namespace calque::verify
