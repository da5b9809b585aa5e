#include "frontend/gdb/machine.h"

#include <algorithm>

#include "cpu/inspect.h"
#include "cpu/memory.h"
#include "frontend/gdb/stub.h"

namespace calque {
namespace {
// GDB's numbers of signals.
constexpr u8 kIll = 4, kTrap = 5, kFpe = 8, kBus = 10, kSegv = 11;
u8 signal_of(u64 vector) {
    switch (vector) {
    case vec::DE: case vec::MF: case vec::XM: return kFpe;
    case vec::UD: return kIll;
    case vec::AC: case vec::MC: return kBus;
    case vec::NP: case vec::SS: case vec::GP: case vec::PF: case vec::TS: case vec::DF: return kSegv;
    default: return kTrap;
    }
}
}  // namespace

GdbMachine::GdbMachine(Machine& m, Owner owner, bool standing)
    : machine_{m}, cpu_{m.cpu()}, owner_{std::move(owner)}, debug_{cpu_}, registers_{cpu_}, monitor_{m, debug_, registers_, owner_.monitor},
      standing_{standing} {
    debug_.resume(false);
    monitor_.on_change = [this] { change(); };
}

std::string GdbMachine::cpu_state(unsigned) {
    const CpuState& s = cpu_.state();
    return s.shut_down ? "shut down" : s.halted ? "halted" : s.smm ? "in system management mode" : "running";
}

// ---- memory

size_t GdbMachine::read_memory(unsigned, u64 address, std::span<u8> out) {
    constexpr u64 kPage = 4096;
    for (size_t done = 0; done < out.size();) {
        const size_t n = std::min<u64>(out.size() - done, kPage - (address + done) % kPage);
        const auto piece = out.subspan(done, n);
        if (!(monitor_.physical() ? read_physical(cpu_, address + done, piece) : read_linear_quietly(cpu_, address + done, piece))) return done;
        done += n;
    }
    return out.size();
}

bool GdbMachine::write_memory(unsigned, u64 address, std::span<const u8> in) {
    change();
    return machine_.set_memory(address, in, monitor_.physical());
}

Result<void> GdbMachine::write_register(unsigned, unsigned n, std::span<const u8> in) {
    return registers_.write(n, in, [this](const Register& r, const RegisterValue& v, bool settles) {
        change();
        return machine_.set_register(r.name, {v.word[0], v.word[1], v.word[2], v.word[3]}, settles);
    });
}

/// What has been behind this place will not be.
void GdbMachine::change() {
    if (history_ && history_->branch() && owner_.branched) owner_.branched();
}

// GDB takes what no region names as inaccessible, asks once, and means linear addresses: everything could be memory some time.
std::string GdbMachine::memory_map() {
    return "<?xml version=\"1.0\"?>\n<memory-map><memory type=\"ram\" start=\"0x0\" length=\"0x8000000000000000\"/>"
           "<memory type=\"ram\" start=\"0x8000000000000000\" length=\"0x8000000000000000\"/></memory-map>\n";
}

// ---- motion

void GdbMachine::set_points(const std::vector<GdbPoint>& points) {
    points_ = points;
    arm();
}

void GdbMachine::arm() {
    std::vector<u64> breakpoints;
    std::vector<Debug::Watch> watches;
    for (const GdbPoint& p : points_) {
        using Kind = GdbPoint::Kind;
        if (p.watch()) watches.push_back({p.address, p.address + (p.length - 1), p.kind != Kind::write, p.kind != Kind::read});
        else breakpoints.push_back(p.address);
    }
    debug_.set_breakpoints(std::move(breakpoints));
    debug_.set_watches(std::move(watches));
}

Result<void> GdbMachine::resume(const GdbMotion& m) {
    if (m.backwards && !history_) return Error{"the machine can only run forwards"};
    back_.reset();
    if (m.backwards) {
        back_ = m, hold_.clear();
        standing_ = false, resumed_ = true;
        return {};
    }
    if (!hold_.empty()) return Error{hold_ + "; \"monitor system_reset\" starts it again"};
    debug_.resume(m.kind != GdbMotion::Kind::go);
    if (standing_) machine_.resume_clock();
    standing_ = false, resumed_ = true;
    return {};
}

bool GdbMachine::halt() {
    if (going_back_) return interrupted_ = true, false;
    back_.reset();
    standing_ = true;
    return true;
}

void GdbMachine::release() {
    set_points({});
    monitor_.release();
}

GdbStop GdbMachine::stop_of(const Debug::Hit& hit) {
    using Why = GdbStop::Why;
    using Kind = GdbPoint::Kind;
    GdbStop stop;
    switch (hit.event) {
    case Debug::Event::none:
    case Debug::Event::step: stop.why = Why::step; break;
    case Debug::Event::breakpoint: {
        stop.why = Why::breakpoint;
        const bool software = std::any_of(points_.begin(), points_.end(), [&](const GdbPoint& p) { return p.kind == Kind::software && p.address == hit.at; });
        stop.kind = software ? Kind::software : Kind::hardware;
        break;
    }
    case Debug::Event::watch:
        stop.why = Why::watch, stop.address = hit.at;
        for (const GdbPoint& p : points_) {
            const bool wants = (p.kind == Kind::access) || (p.kind == Kind::write && hit.write) || (p.kind == Kind::read && hit.read);
            if (p.watch() && wants && hit.at >= p.address && hit.at <= p.address + (p.length - 1)) {
                stop.kind = p.kind;
                break;
            }
        }
        break;
    default:
        stop.why = Why::event;
        stop.message = monitor_.describe(hit);
        if (hit.event == Debug::Event::exception) stop.signal = signal_of(hit.at);
    }
    return stop;
}

void GdbMachine::handle_stop(GdbStub* stub) {
    if (!stub || !stub->moving()) return debug_.resume(false);   // nobody wants to know
    resumed_ = false;
    stub->stopped(stop_of(debug_.hit()));
    standing_ = !resumed_;
}

bool GdbMachine::handle_end(GdbStub* stub) {
    if (!stub || !stub->moving()) return stub;   // somebody looks at how it ended
    standing_ = true;
    stub->stopped({.why = GdbStop::Why::history_ends});
    return true;
}

void GdbMachine::handle_hold(GdbStub* stub, const std::string& why) {
    hold_ = why;
    if (!stub || !stub->moving()) return;
    standing_ = true;
    stub->stopped({.why = GdbStop::Why::event, .signal = kSegv, .message = why});
}
}  // namespace calque
