// What QMP clients may do with a session.
#include "cpu/inspect.h"
#include "cpu/registers.h"
#include "frontend/cli/session.h"
#include "machine/debug.h"

namespace calque {
namespace {
// Drives have the names that QMP clients expect: ide0-cd0, or what the position on the cable makes it; floppy0.
std::optional<unsigned> number_after(const std::string& device, const std::string& prefix) {
    if (!device.starts_with(prefix) || device.size() != prefix.size() + 1) return {};
    const char c = device.back();
    return c >= '0' && c <= '9' ? std::optional<unsigned>(c - '0') : std::nullopt;
}

std::optional<unsigned> cdrom_number(const std::string& device) {
    if (device == "ide1-cd0" || device == "cdrom") return 0;
    return number_after(device, "cdrom");
}

std::optional<unsigned> floppy_number(const std::string& device) {
    return device == "floppy" ? std::optional<unsigned>(0) : number_after(device, "floppy");
}
}  // namespace

ControlTarget::RunState Session::run_state() const {
    return status_ || held_ ? RunState::shutdown : standing() ? RunState::paused : RunState::running;
}

void Session::stop() {
    if (paused_) return;
    paused_ = true;
    control_->stopped();
}

void Session::cont() {
    if (!paused_) return;
    paused_ = false;
    machine_->resume_clock();
    control_->resumed();
}

void Session::quit() {
    cause_ = ControlServer::Cause::client;
    finish(0);
}

void Session::system_reset() {
    cause_ = ControlServer::Cause::client;
    held_ = false;
    if (gdb_machine_) gdb_machine_->end_hold();
    if (in_the_past() && history_->branch()) branched();
    machine_->reset();
}

void Session::system_powerdown() {
    machine_->power_button();
    control_->powerdown();
}

bool Session::read_physical(u64 address, std::span<u8> out) { return calque::read_physical(machine_->cpu(), address, out); }
bool Session::read_virtual(u64 address, std::span<u8> out) { return read_linear_quietly(machine_->cpu(), address, out); }
std::string Session::registers() const { return register_text(machine_->cpu().state()); }
std::optional<u64> Session::register_value(std::string_view name) const {
    const Register* r = find_register(name);
    return r && r->bits <= 64 ? std::optional{read_register(machine_->cpu(), *r).word[0]} : std::nullopt;
}

bool Session::has_drive(const std::string& device) const {
    if (const auto n = cdrom_number(device)) return machine_->board().cdrom(*n) != nullptr;
    if (const auto n = floppy_number(device)) return machine_->board().floppy() && *n < 2;
    return false;
}

Result<void> Session::change_medium(const std::string& device, const std::string& file, bool read_only) {
    if (const auto n = cdrom_number(device)) return machine_->change_cdrom(*n, file, false);
    if (const auto n = floppy_number(device)) return machine_->change_floppy(*n, file, read_only);
    return Error{"there is no drive '" + device + "'"};
}

Result<void> Session::eject(const std::string& device, bool force) {
    if (const auto n = cdrom_number(device)) return machine_->change_cdrom(*n, "", force);
    if (const auto n = floppy_number(device)) return machine_->change_floppy(*n, "", false);
    return Error{"there is no drive '" + device + "'"};
}
}  // namespace calque
