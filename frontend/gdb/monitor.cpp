#include "frontend/gdb/monitor.h"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <sstream>

#include "cpu/inspect.h"
#include "cpu/mmu.h"
#include "cpu/registers.h"
#include "cpu/system.h"
#include "frontend/gdb/registers.h"
#include "machine/debug.h"
#include "machine/replay/history.h"

namespace calque {
namespace {
using On = Debug::Event;

template <class... Ts>
std::string formatted(const char* format, Ts... values) {
    char text[160];
    std::snprintf(text, sizeof text, format, values...);
    return text;
}

constexpr const char* kExceptions[] = {"DE", "DB", "NMI", "BP", "OF", "BR", "UD", "NM", "DF", "", "TS", "NP", "SS", "GP", "PF", "", "MF", "AC", "MC", "XM"};
std::string exception_name(u64 vector) {
    return vector < std::size(kExceptions) && *kExceptions[vector] ? std::string{" #"} + kExceptions[vector] : std::string{};
}

struct EventName {
    On event;
    const char *word, *what;
    u64 most;        // the largest number
    bool directed;   // "read" or "write" may follow
};
constexpr EventName kEvents[] = {
    {On::exception, "exception", "before an exception is delivered", 31, false},
    {On::software, "int", "before an INT instruction", 255, false},
    {On::interrupt, "interrupt", "at the handler of an interrupt from outside", 255, false},
    {On::port, "port", "before an access to a port", 0xffff, true},
    {On::msr, "msr", "before RDMSR or WRMSR", 0xffffffff, true},
    {On::control, "cr", "before a control register is written", 8, false},
};
const EventName& name_of(On e) {
    return *std::find_if(std::begin(kEvents), std::end(kEvents), [&](const EventName& n) { return n.event == e; });
}

std::string entry_flags(u64 e) {
    std::string t;
    const auto flag = [&](unsigned bit, const char* name) {
        if (e >> bit & 1) t += std::string{" "} + name;
    };
    flag(0, "P"), flag(1, "W"), flag(2, "U"), flag(3, "PWT"), flag(4, "PCD"), flag(5, "A"), flag(6, "D"), flag(7, "PS"), flag(8, "G"), flag(63, "NX");
    return t;
}
}  // namespace

const GdbMonitor::Command GdbMonitor::kCommands[] = {
    {"help", "", "this list", &GdbMonitor::help},
    {"registers", "", "all registers of the processor, with the hidden parts of segments", &GdbMonitor::registers},
    {"page", "ADDRESS", "how paging translates a linear address", &GdbMonitor::page},
    {"tlb", "[ADDRESS]", "the translations that the processor remembers", &GdbMonitor::tlb},
    {"phys", "on|off", "memory commands of GDB use physical addresses", &GdbMonitor::phys},
    {"stop", "[EVENT [NUMBER[-NUMBER]] [read|write]]", "stop at an event; alone: list the events", &GdbMonitor::stop},
    {"clear", "[N]", "do not stop at the n-th event of the list, or at none", &GdbMonitor::clear},
    {"interrupts", "[COUNT]", "the last interrupts and exceptions", &GdbMonitor::interrupts},
    {"msr", "NUMBER [VALUE]", "show or change a model-specific register", &GdbMonitor::msr},
    {"memory", "", "what answers at which physical addresses", &GdbMonitor::memory},
    {"devices", "", "the devices of the board", &GdbMonitor::devices},
    {"history", "", "how far back the machine can go, and what that takes", &GdbMonitor::history},
};

GdbMonitor::GdbMonitor(Machine& m, Debug& debug, GdbRegisters& registers, Fallback fallback)
    : machine_{m}, cpu_{m.cpu()}, debug_{debug}, registers_{registers}, fallback_{std::move(fallback)} {}

std::string GdbMonitor::run(std::string_view line) {
    std::istringstream in{std::string{line}};
    std::string name;
    Words words;
    in >> name;
    for (std::string w; in >> w;) words.push_back(w);
    if (name.empty() || name == "?") name = "help";
    for (const Command& c : kCommands)
        if (name == c.name) return (this->*c.run)(words);
    return fallback(line);
}

std::string GdbMonitor::fallback(std::string_view line) const {
    std::string answer = fallback_(line);
    std::erase(answer, '\r');
    return answer;
}

std::string GdbMonitor::help(const Words&) {
    std::string t;
    for (const Command& c : kCommands) t += formatted("%-52s %s\n", (std::string{c.name} + " " + c.arguments).c_str(), c.what);
    t += "Events:\n";
    for (const EventName& e : kEvents) t += formatted("  %-10s %s\n", e.word, e.what);
    return t + "Numbers may be names of registers. These are known as well:\n" + fallback("help");
}

Result<u64> GdbMonitor::number(const std::string& word) const {
    const std::string_view name = std::string_view{word}.substr(word.starts_with('$'));
    if (name == "pc") return registers_.pc();
    if (const Register* r = find_register(name); r && r->bits <= 64) return read_register(cpu_, *r).word[0];
    const bool hex = word.starts_with("0x") || word.starts_with("0X");
    u64 v = 0;
    const auto [end, e] = std::from_chars(word.data() + (hex ? 2 : 0), word.data() + word.size(), v, hex ? 16 : 10);
    if (e != std::errc{} || end != word.data() + word.size()) return Error{"'" + word + "' is neither a number nor a register\n"};
    return v;
}

std::string GdbMonitor::registers(const Words&) { return register_text(cpu_.state()); }

std::string GdbMonitor::page(const Words& words) {
    if (words.size() != 1) return "page ADDRESS\n";
    const auto linear = number(words[0]);
    if (!linear) return linear.error().message;
    const CpuState& s = cpu_.state();
    std::vector<PageStep> steps;
    const auto physical = translate_quietly(cpu_, *linear, &steps);
    std::string t;
    if (!(s.cr0 & cr0::PG)) t = "paging is off\n";
    for (const PageStep& p : steps)
        t += formatted("%-4s at %012" PRIx64 ": %0*" PRIx64 "%s\n", p.table, p.at, static_cast<int>(2 * p.size), p.entry, entry_flags(p.entry).c_str());
    if (!physical) return t + formatted("%#" PRIx64 " is not mapped\n", *linear);
    return t + formatted("%#" PRIx64 " is at physical address %#" PRIx64 "\n", *linear, *physical);
}

std::string GdbMonitor::tlb(const Words& words) {
    constexpr size_t kMost = 1000;
    std::vector<PageEntry> entries = cpu_.state().mmu->current();
    if (!words.empty()) {
        const auto linear = number(words[0]);
        if (!linear) return linear.error().message;
        std::erase_if(entries, [&](const PageEntry& e) { return e.vpn != *linear >> 12; });
    }
    std::sort(entries.begin(), entries.end(), [](const PageEntry& a, const PageEntry& b) { return a.vpn < b.vpn; });
    std::string t;
    for (size_t n = 0; n < entries.size() && n < kMost; ++n) {
        const PageEntry& e = entries[n];
        t += formatted("%016" PRIx64 " -> %012" PRIx64 "%s%s%s%s%s%s\n", e.vpn << 12, e.paddr, e.flags & page::User ? " U" : "", e.flags & page::Write ? " W" : "",
                       e.flags & page::NoExec ? " NX" : "", e.flags & page::Dirty ? " D" : "", e.flags & page::Global ? " G" : "", e.host ? "" : " device");
    }
    if (entries.size() > kMost) t += formatted("and %zu more\n", entries.size() - kMost);
    return t.empty() ? "no translation is remembered\n" : t;
}

std::string GdbMonitor::phys(const Words& words) {
    if (words.size() == 1 && (words[0] == "on" || words[0] == "off")) physical_ = words[0] == "on";
    else if (!words.empty()) return "phys on|off\n";
    return physical_ ? "memory addresses are physical; `maintenance flush dcache` makes GDB forget what it has read before\n" : "memory addresses are linear\n";
}

// ---- events

std::string GdbMonitor::catch_text(const Debug::Catch& c) const {
    const EventName& n = name_of(c.event);
    std::string t = n.word;
    if (c.first == c.last) t += formatted(" %#" PRIx64, c.first);
    else if (c.first != 0 || c.last != n.most) t += formatted(" %#" PRIx64 "-%#" PRIx64, c.first, c.last);
    if (!c.read) t += " write";
    if (!c.write) t += " read";
    return t;
}

std::string GdbMonitor::stop(const Words& words) {
    if (words.empty()) {
        std::string t;
        for (size_t n = 0; n < catches_.size(); ++n) t += formatted("%zu: ", n + 1) + catch_text(catches_[n]) + "\n";
        return t.empty() ? "no events stop the machine\n" : t;
    }
    const auto* event = std::find_if(std::begin(kEvents), std::end(kEvents), [&](const EventName& e) { return words[0] == e.word; });
    if (event == std::end(kEvents)) return "there is no event '" + words[0] + "'; `monitor help` lists them\n";
    Debug::Catch c{event->event, 0, event->most, true, true};
    for (size_t n = 1; n < words.size(); ++n) {
        if (event->directed && words[n] == "read") { c.write = false; continue; }
        if (event->directed && words[n] == "write") { c.read = false; continue; }
        const size_t dash = words[n].find('-');
        auto first = number(words[n].substr(0, dash)), last = dash == std::string::npos ? first : number(words[n].substr(dash + 1));
        for (unsigned v = 0; event->event == On::exception && v < std::size(kExceptions); ++v)
            if (words[n] == kExceptions[v] || words[n] == std::string{"#"} + kExceptions[v]) first = last = u64{v};
        if (!first) return first.error().message;
        if (!last) return last.error().message;
        if (*first > *last || *last > event->most) return formatted("'%s' goes from 0 to %" PRIu64 "\n", event->word, event->most);
        c.first = *first, c.last = *last;
    }
    catches_.push_back(c);
    debug_.set_catches(catches_);
    return "the machine stops at: " + catch_text(c) + "\n";
}

std::string GdbMonitor::clear(const Words& words) {
    if (words.empty()) {
        catches_.clear();
    } else {
        const auto n = number(words[0]);
        if (!n) return n.error().message;
        if (*n < 1 || *n > catches_.size()) return "`monitor stop` shows the numbers\n";
        catches_.erase(catches_.begin() + static_cast<std::ptrdiff_t>(*n - 1));
    }
    debug_.set_catches(catches_);
    return stop({});
}

void GdbMonitor::release() {
    catches_.clear();
    debug_.set_catches({});
    physical_ = false;
}

std::string GdbMonitor::describe(const Debug::Hit& h) const {
    const unsigned at = static_cast<unsigned>(h.at);
    switch (h.event) {
    case On::exception: {
        std::string t = formatted("exception %u%s", at, exception_name(h.at).c_str());
        const Exception& e = cpu_.state().exception;
        if (e.has_error) t += formatted(", error code %#" PRIx64, h.value);
        if (h.at == vec::PF) t += formatted(", address %#" PRIx64, e.address);
        return t;
    }
    case On::software: return formatted("INT %#x", at);
    case On::interrupt: return formatted("interrupt %#x", at);
    case On::port:
        return h.write ? formatted("OUT of %#" PRIx64 " to port %#x, %u bytes", h.value, at, h.size) : formatted("IN from port %#x, %u bytes", at, h.size);
    case On::msr: return h.write ? formatted("WRMSR of %#" PRIx64 " to MSR %#x", h.value, at) : formatted("RDMSR of MSR %#x", at);
    case On::control: return formatted("%#" PRIx64 " to CR%u", h.value, at);
    default: return {};
    }
}

// ---- machine

std::string GdbMonitor::interrupts(const Words& words) {
    using Kind = Debug::Delivery::Kind;
    size_t most = 20;
    if (!words.empty()) {
        const auto n = number(words[0]);
        if (!n) return n.error().message;
        most = *n;
    }
    const auto log = debug_.deliveries();
    std::string t;
    for (size_t n = log.size() > most ? log.size() - most : 0; n < log.size(); ++n) {
        const Debug::Delivery& d = log[n];
        const char* kind = d.kind == Kind::exception ? "exception" : d.kind == Kind::software ? "INT" : "interrupt";
        t += formatted("%14" PRIu64 "  %-9s %02x%-4s at %04x:%" PRIx64, d.icount, kind, d.vector, d.kind == Kind::exception ? exception_name(d.vector).c_str() : "", d.cs, d.rip);
        if (d.has_error) t += formatted(", error code %x", d.error);
        t += "\n";
    }
    return t.empty() ? "none yet\n" : t;
}

std::string GdbMonitor::msr(const Words& words) {
    if (words.empty() || words.size() > 2) return "msr NUMBER [VALUE]\n";
    const auto n = number(words[0]);
    if (!n) return n.error().message;
    if (*n > 0xffffffff) return "MSRs have 32-bit numbers\n";
    CpuState& s = cpu_.state();
    if (words.size() == 2) {
        const auto v = number(words[1]);
        if (!v) return v.error().message;
        if (on_change) on_change();
        if (!machine_.set_msr(static_cast<u32>(*n), *v)) return "WRMSR of this value would be #GP\n";
    }
    u64 v;
    if (!read_msr(s, static_cast<u32>(*n), v)) return "RDMSR of this number would be #GP\n";
    return formatted("%016" PRIx64 "\n", v);
}

std::string GdbMonitor::memory(const Words&) {
    std::string t;
    for (const PhysMap::Region& r : machine_.memory().regions()) t += formatted("%012" PRIx64 "-%012" PRIx64 "  %s\n", r.first, r.last, r.what);
    return t;
}

std::string GdbMonitor::devices(const Words&) {
    std::string t;
    for (const auto& d : machine_.board().devices()) t += std::string{d.name} + "\n";
    return t;
}

std::string GdbMonitor::history(const Words&) {
    if (!history_) return "the machine can only run forwards\n";
    return formatted("back to instruction %" PRIu64 " by %zu checkpoints, which take %.1f MiB; the last was made in %.1f ms\n", history_->begin().at.icount,
                     history_->checkpoints(), static_cast<double>(history_->bytes()) / static_cast<double>(kMiB), history_->last_cost() * 1e3);
}
}  // namespace calque
