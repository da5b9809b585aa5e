#include "machine/verify/lockstep.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "cpu/registers.h"
#include "support/assert.h"

namespace calque::verify {
namespace {
constexpr u64 kPage = PhysMap::kPage;

std::vector<u64> touched(Machine& m) {
    std::vector<u64> out;
    m.memory().each_touched_page([&](u64 at) { out.push_back(at); });
    return out;
}
std::vector<u64> touched(Machine& m, Machine& n) {
    std::vector<u64> out;
    const auto x = touched(m), y = touched(n);
    std::set_union(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(out));
    return out;
}
}  // namespace

Lockstep::Lockstep(std::unique_ptr<Lane> a, std::unique_ptr<Lane> b) : a_{std::move(a)}, b_{std::move(b)} {
    const size_t size = a_->machine().memory().ram().size();
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(memory != MAP_FAILED);
    shadow_ = {static_cast<u8*>(memory), size};
}

Lockstep::~Lockstep() { ::munmap(shadow_.data(), shadow_.size()); }

bool Lockstep::same_ram() {
    const std::span<u8> a = a_->machine().memory().ram(), b = b_->machine().memory().ram();
    if (a.size() != b.size()) return false;
    const std::vector<u64> pages = touched(a_->machine(), b_->machine());
    return std::all_of(pages.begin(), pages.end(), [&](u64 at) { return std::memcmp(a.data() + at, b.data() + at, kPage) == 0; });
}

bool Lockstep::same() {
    const Machine &a = a_->machine(), &b = b_->machine();
    return a.moment() == b.moment() && a_->ended() == b_->ended() && a_->parts() == b_->parts() && same_ram();
}

// They are equal: one copy of memory serves both.
void Lockstep::keep() {
    Machine& a = a_->machine();
    const std::span<u8> ram = a.memory().ram();
    a.memory().each_touched_page([&](u64 at) {
        if (std::memcmp(ram.data() + at, shadow_.data() + at, kPage) != 0) std::memcpy(shadow_.data() + at, ram.data() + at, kPage);
    });
    kept_ = a.icount();
    a_->keep(), b_->keep();
}

void Lockstep::restore_ram(Machine& m) {
    const std::span<u8> ram = m.memory().ram();
    m.memory().each_touched_page([&](u64 at) {
        if (std::memcmp(ram.data() + at, shadow_.data() + at, kPage) != 0) std::memcpy(ram.data() + at, shadow_.data() + at, kPage);
    });
}

bool Lockstep::run(u64 until, u64 step) {
    if (!same()) return wanted_ = kept_ = a_->machine().icount(), false;
    keep();
    while (a_->machine().icount() < until && a_->ended().empty()) {
        const u64 to = kept_ + std::min(step, until - kept_);
        a_->run_to(to), b_->run_to(to);
        const bool equal = same();
        if (on_step) on_step(to, equal);
        if (!equal) return wanted_ = to, false;
        keep();
    }
    return true;
}

Result<void> Lockstep::b_to(u64 icount) {
    if (icount < kept_ || b_again_) {
        b_again_ = true;   // what its disks had at kept() is gone
        if (b_->machine().icount() > icount)
            if (auto r = b_->begin_again(); !r) return r;
    } else {
        restore_ram(b_->machine());
        b_->go_back();
    }
    b_->run_to(icount);
    return {};
}

Result<void> Lockstep::both_to(u64 icount) {
    if (all_the_way_) {
        if (auto r = a_->go_back_all_the_way(); !r) return r;
    } else {
        restore_ram(a_->machine());
        a_->go_back();
    }
    a_->run_to(icount);
    return b_to(icount);
}

Result<u64> Lockstep::narrow() {
    u64 low = kept_, high = wanted_;
    if (high == low) return high;
    if (auto r = both_to(high); !r) return r.error();
    if (same()) {
        all_the_way_ = true;
        if (auto r = both_to(high); !r) return r.error();
        if (same()) return Error{"between instruction " + std::to_string(low) + " and " + std::to_string(high) + " they differ, but not when they are run again"};
    }
    while (high - low > 1) {
        const u64 middle = low + (high - low) / 2;
        if (auto r = both_to(middle); !r) return r.error();
        (same() ? low : high) = middle;
    }
    if (auto r = both_to(high); !r) return r.error();
    return high;
}

std::vector<exec::Difference> Lockstep::differences() {
    std::vector<exec::Difference> out;
    Machine &a = a_->machine(), &b = b_->machine();
    const auto number = [&](const char* what, u64 x, u64 y) {
        if (x != y) out.push_back({what, std::to_string(x), std::to_string(y)});
    };
    number("instructions", a.icount(), b.icount());
    number("time", a.time(), b.time());
    if (a_->ended() != b_->ended()) out.push_back({"end", a_->ended().empty() ? "none" : a_->ended(), b_->ended().empty() ? "none" : b_->ended()});
    for (const Register* r : state_registers(a.cpu())) {
        const RegisterValue x = read_register(a.cpu(), *r), y = read_register(b.cpu(), *r);
        if (x != y) out.push_back({r->name, exec::hex(x), exec::hex(y)});
    }
    const bool registers = !out.empty();
    const auto pa = a_->parts(), pb = b_->parts();
    for (size_t n = 0; n < std::min(pa.size(), pb.size()); ++n)
        if (pa[n].second != pb[n].second && !(registers && pa[n].first == "processor")) out.push_back({pa[n].first, "one state", "another"});
    constexpr size_t kMost = 16;
    const std::span<u8> ra = a.memory().ram(), rb = b.memory().ram();
    for (const u64 page : touched(a, b))
        for (u64 at = page; at < page + kPage && out.size() < kMost; ++at) {
            u64 end = at;
            while (end < page + kPage && ra[end] != rb[end]) ++end;
            if (end != at) out.push_back({"phys " + exec::hex(RegisterValue{at}), exec::hex(ra.subspan(at, end - at)), exec::hex(rb.subspan(at, end - at))}), at = end;
        }
    return out;
}
}  // namespace calque::verify
