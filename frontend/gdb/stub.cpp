// GDB manual, appendix "GDB Remote Serial Protocol": "Packets", "Stop Reply Packets", "Remote Non-Stop".
#include "frontend/gdb/stub.h"

#include <algorithm>
#include <cstdio>

namespace calque {
namespace {
template <class... Ts>
std::string formatted(const char* format, Ts... values) {
    char text[80];
    std::snprintf(text, sizeof text, format, values...);
    return text;
}
constexpr u8 kSigInt = 2;
}  // namespace

// Longer prefixes first where one begins with another.
const GdbStub::Command GdbStub::kCommands[] = {
    {"?", &GdbStub::why},
    {"vCont?", &GdbStub::vcont_query},
    {"vCont;", &GdbStub::vcont},
    {"vCtrlC", &GdbStub::ctrl_c},
    {"vStopped", &GdbStub::notified},
    {"c", &GdbStub::go},
    {"s", &GdbStub::step},
    {"C", &GdbStub::go_with_signal},
    {"S", &GdbStub::step_with_signal},
    {"bc", &GdbStub::go_back},
    {"bs", &GdbStub::step_back},
    {"D", &GdbStub::detach},
    {"k", &GdbStub::kill},
    {"!", &GdbStub::extended},
    {"g", &GdbStub::read_registers},
    {"G", &GdbStub::write_registers},
    {"p", &GdbStub::read_register},
    {"P", &GdbStub::write_register},
    {"m", &GdbStub::read_memory},
    {"x", &GdbStub::read_memory_binary},
    {"M", &GdbStub::write_memory},
    {"X", &GdbStub::write_memory_binary},
    {"Z", &GdbStub::insert},
    {"z", &GdbStub::remove},
    {"qSupported", &GdbStub::supported},
    {"QStartNoAckMode", &GdbStub::no_ack},
    {"QNonStop:", &GdbStub::non_stop},
    {"qXfer:", &GdbStub::transfer},
    {"qAttached", &GdbStub::attached},
    {"qC", &GdbStub::current_thread},
    {"qfThreadInfo", &GdbStub::first_threads},
    {"qsThreadInfo", &GdbStub::no_more_threads},
    {"qThreadExtraInfo,", &GdbStub::thread_info},
    {"qRcmd,", &GdbStub::monitor},
    {"T", &GdbStub::thread_alive},
    {"H", &GdbStub::choose_thread},
};

GdbStub::GdbStub(GdbTarget& target)
    : target_{target}, packets_{{[this](const std::string& p) { packet(p); }, [this] { interrupt(); }}}, last_{GdbStop{}} {
    target_.halt();
}

GdbStub::~GdbStub() { target_.release(); }

void GdbStub::packet(const std::string& payload) {
    if (finished_) return;
    if (payload == kGdbTooLong) return error("the packet is too long");
    for (const Command& c : kCommands) {
        if (!payload.starts_with(c.prefix)) continue;
        Text rest{std::string_view{payload}.substr(std::string_view{c.prefix}.size())};
        return (this->*c.run)(rest);
    }
    reply("");   // not known here
}

// ---- motion

void GdbStub::interrupt() {
    if (moving_ && target_.halt()) report({.signal = kSigInt});
}

std::string GdbStub::stop_text(const GdbStop& s) {
    if (s.why == GdbStop::Why::exited) return formatted("W%02x", s.code);
    std::string t = formatted("T%02x", s.signal);
    using Kind = GdbPoint::Kind;
    switch (s.why) {
    case GdbStop::Why::breakpoint:
        if (tells_breakpoints_) t += s.kind == Kind::hardware ? "hwbreak:;" : "swbreak:;";
        break;
    case GdbStop::Why::watch:
        t += formatted("%s:%llx;", s.kind == Kind::write ? "watch" : s.kind == Kind::read ? "rwatch" : "awatch", static_cast<unsigned long long>(s.address));
        break;
    case GdbStop::Why::history_begins: t += "replaylog:begin;"; break;
    case GdbStop::Why::history_ends: t += "replaylog:end;"; break;
    default: break;
    }
    t += formatted("thread:%x;", s.cpu + 1);
    for (const unsigned n : target_.expedited()) t += formatted("%x:", n) + register_hex(n) + ";";
    return t;
}

void GdbStub::report(const GdbStop& s) {
    moving_ = false;
    last_ = s;
    cpu_ = s.cpu;
    if (!s.message.empty() && !non_stop_) reply(std::string{"O"}.append(to_hex(s.message + "\n")));
    if (non_stop_) packets_.notify("Stop:" + stop_text(s));
    else reply(stop_text(s));
    finished_ = s.why == GdbStop::Why::exited;
}

void GdbStub::stopped(const GdbStop& s) {
    if (!moving_) return;
    const u64 pc = s.why == GdbStop::Why::exited ? 0 : target_.pc(s.cpu);
    cpu_ = s.cpu;
    const bool ranging = s.why == GdbStop::Why::step && motion_.kind == GdbMotion::Kind::range && pc >= motion_.first && pc < motion_.end;
    const bool passing = s.why == GdbStop::Why::breakpoint && !conditions_hold();
    if ((ranging || passing) && target_.resume(motion_)) return;
    report(s);
}

// Of several breakpoints at one place, and several conditions of one breakpoint, one that holds is enough. One that cannot be evaluated stops
// too, so that the user sees it.
bool GdbStub::conditions_hold() {
    const u64 pc = target_.pc(cpu_);
    bool any = false;
    for (const auto& [point, conditions] : points_) {
        if (point.watch() || point.address != pc) continue;
        any = true;
        if (conditions.empty()) return true;
        for (const Condition& c : conditions)
            if (run_agent({reinterpret_cast<const u8*>(c.data()), c.size()}, *this).value_or(1)) return true;
    }
    return !any;
}

std::optional<u64> GdbStub::agent_register(unsigned n) {
    if (n >= target_.registers().size() || target_.registers()[n].bits > 64) return {};
    u8 bytes[8]{};
    target_.read_register(cpu_, n, {bytes, target_.registers()[n].bytes()});
    u64 v = 0;
    for (unsigned i = 0; i < 8; ++i) v |= u64{bytes[i]} << (8 * i);
    return v;
}

bool GdbStub::agent_read(u64 address, std::span<u8> out) { return target_.read_memory(cpu_, address, out) == out.size(); }

void GdbStub::move(const GdbMotion& m) {
    if (!moving_) {
        if (auto r = target_.resume(m); !r) return error(r.error().message);
        motion_ = m;
        moving_ = true;
        last_.reset();
    }
    if (non_stop_) ok();
}

void GdbStub::why(Text&) { reply(last_ ? stop_text(*last_) : "OK"); }

// Resuming at another address is not offered: GDB writes the register instead.
void GdbStub::go(Text& t) { t.done() ? move({}) : wrong(); }
void GdbStub::step(Text& t) { t.done() ? move({.kind = GdbMotion::Kind::step}) : wrong(); }
// The guest knows no signals.
void GdbStub::go_with_signal(Text&) { move({}); }
void GdbStub::step_with_signal(Text&) { move({.kind = GdbMotion::Kind::step}); }

void GdbStub::vcont_query(Text&) { reply("vCont;c;C;s;S;t;r"); }

// The leftmost action that names a thread holds for it. All processors move together; one that steps decides.
void GdbStub::vcont(Text& t) {
    std::optional<GdbMotion> motion;
    bool stop = false;
    while (!t.done()) {
        Text action{t.until(';')};
        GdbMotion m;
        switch (action.peek()) {
        case 't': stop = true; continue;
        case 'c': case 'C': break;
        case 's': case 'S': m.kind = GdbMotion::Kind::step; break;
        case 'r':
            m.kind = GdbMotion::Kind::range;
            action.take('r');
            if (!action.hex(m.first) || !action.take(',') || !action.hex(m.end)) return wrong();
            break;
        default: return wrong();
        }
        if (!motion) motion = m;
    }
    if (motion) return move(*motion);
    if (!stop) return wrong();
    ok();
    if (moving_ && target_.halt()) report({.signal = 0});
}

void GdbStub::ctrl_c(Text&) {
    ok();
    interrupt();
}

// Non-stop: the client has taken the notification; there are no others.
void GdbStub::notified(Text&) { ok(); }

void GdbStub::move_back(GdbMotion::Kind kind) {
    if (!target_.can_reverse()) return error("the machine can only run forwards: --history says how much memory its past may have");
    move({.kind = kind, .backwards = true});
}
void GdbStub::go_back(Text&) { move_back(GdbMotion::Kind::go); }
void GdbStub::step_back(Text&) { move_back(GdbMotion::Kind::step); }

void GdbStub::detach(Text&) {
    ok();
    target_.release();
    if (!moving_) (void)target_.resume({}).has_value();
    moving_ = false, finished_ = true;
}

void GdbStub::kill(Text&) {
    finished_ = true;
    target_.kill();
}

void GdbStub::extended(Text&) { ok(); }

// ---- breakpoints and watchpoints

bool GdbStub::point(Text& t, GdbPoint& p) {
    const char kind = t.peek();
    if (kind < '0' || kind > '4') return false;
    t.take(kind);
    p.kind = static_cast<GdbPoint::Kind>(kind - '0');
    if (!t.take(',') || !t.hex(p.address) || !t.take(',') || !t.hex(p.length)) return false;
    if (!p.watch()) p.length = 1;   // it is the kind of instruction to be written, which never is
    return p.length > 0 && p.address + (p.length - 1) >= p.address;
}

void GdbStub::insert(Text& t) {
    constexpr size_t kMost = 10'000;
    GdbPoint p;
    if (!point(t, p)) return wrong();
    std::vector<Condition> conditions;
    t.take(';');
    while (t.take('X')) {
        u64 length;
        Condition code;
        if (!t.hex(length) || !t.take(',') || length > t.rest().size() / 2 || !from_hex(t.skip(2 * length), code)) return wrong();
        conditions.push_back(std::move(code));
    }
    if (!t.done()) return wrong();
    if (points_.size() >= kMost) return error("too many breakpoints");
    points_[p] = std::move(conditions);
    points_changed();
    ok();
}

void GdbStub::remove(Text& t) {
    GdbPoint p;
    if (!point(t, p)) return wrong();
    points_.erase(p);
    points_changed();
    ok();
}

void GdbStub::points_changed() {
    std::vector<GdbPoint> all;
    for (const auto& [p, conditions] : points_) all.push_back(p);
    target_.set_points(all);
}
}  // namespace calque
