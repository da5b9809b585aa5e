// The second machine is taken to some instructions before the difference, and both executors run from there on a processor alone, with that
// machine's memory behind them. When they differ, what they have touched is what the case needs: code, data and page tables, whatever the
// fault is. The nearest beginning that shows the difference is looked for, then the first instruction that does, then all that does not
// matter is taken out.
#include "machine/verify/reproducer.h"

#include <algorithm>
#include <cstring>

#include "machine/state_hash.h"

namespace calque::verify {
namespace {
using exec::Case, exec::MemoryItem, exec::Mode, exec::Outcome, exec::RegisterItem, exec::Rig, exec::next_instruction;
constexpr u64 kPage = 4096;
constexpr u64 kFarthest = 80'000'000;   // instructions back
constexpr unsigned kShrinkRuns = 4000;
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
    bool try_from(u64 begin, u64 end);
    bool differ(const Case&, const std::function<const u8*(u64)>& memory);
    std::optional<u64> nearest(u64 end);
    void fewest_steps();
    void give_memory();
    void shrink();
    bool still(const Case&);
    template <class T, class F>
    void drop(std::vector<T>&, F still_so);
    void drop_bytes(size_t item);
    void name(Reproducer&);
    void expect();

    Lockstep& lockstep_;
    Rig a_, b_;
    Case case_;
    Ran last_;
    std::function<const u8*(u64)> source_;
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

// As many steps as it takes the second executor to get there: a repeated instruction is one.
bool Search::try_from(u64 begin, u64 end) {
    if (!lockstep_.b_to(begin)) return false;
    Machine& m = lockstep_.b().machine();
    auto c = registers_of(m);
    if (!c || m.icount() != begin) return false;
    source_ = [&m](u64 page) -> const u8* { return m.memory().page(page).host; };
    if (!b_.load(*c, source_)) return false;
    Cpu& cpu = b_.cpu();
    const u64 before = cpu.instructions();
    cpu.run_instructions(exec::kMostSteps, cpu.icount() + (end - begin));
    c->steps = cpu.instructions() - before;
    if (!c->steps || !differ(*c, source_)) return false;
    case_ = *c;
    return true;
}

std::optional<u64> Search::nearest(u64 end) {
    u64 far = 1, near = 0;
    while (!try_from(end - far, end)) {
        if (far >= end || far >= kFarthest) return {};
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

// Whatever either executor has looked at, as it was.
void Search::give_memory() {
    std::vector<u32> pages = a_.memory().touched();
    pages.insert(pages.end(), b_.memory().touched().begin(), b_.memory().touched().end());
    std::sort(pages.begin(), pages.end());
    pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
    for (const u32 page : pages) {
        const u8* const host = source_(page);
        if (!host) continue;
        const bool tables = page >= exec::Memory::kTables && page < exec::Memory::kTablesEnd;   // not zero to begin with
        if (tables || !is_zero({host, kPage})) case_.mem.push_back({page, {host, host + kPage}, true});
    }
}

// ---- taking out

bool Search::still(const Case& c) {
    if (++runs_ > kShrinkRuns || !differ(c, {})) return false;
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
            if (!still(case_)) std::copy(old.begin(), old.end(), first);
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
        const auto so = [&] { return still(case_); };
        drop(case_.mem, so);
        drop(case_.regs, so);
        for (size_t n = 0; n < case_.mem.size(); ++n) drop_bytes(n);
    }
    std::vector<MemoryItem> mem;
    for (const MemoryItem& m : case_.mem)
        for (MemoryItem& run : runs_of(m)) mem.push_back(std::move(run));
    case_.mem = std::move(mem);
    for (u64 ram = exec::kRam; ram < case_.ram; ram *= 2) {
        Case c = case_;
        c.ram = ram;
        if (!still(c) && runs_ <= kShrinkRuns) continue;
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
    auto begin = nearest(end);
    if (!begin) return none;
    fewest_steps();
    if (const u64 now = *begin + last_.retired; now < end)   // it shows earlier; then perhaps from nearer by
        if (const auto nearer = nearest(now)) end = now, begin = nearer;
    if (!differ(case_, source_)) return none;
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
