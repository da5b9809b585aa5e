// The commands (QEMU QMP Reference Manual). Each is one function and one row of the table at the end.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "frontend/control/keys.h"
#include "frontend/control/qmp.h"
#include "frontend/png.h"

namespace calque {

namespace {
using State = ControlTarget::RunState;

Json done() { return Json::object(); }

Json query_status(QmpContext& c, const Json&) {
    const State s = c.target.run_state();
    const char* status = s == State::running ? "running" : s == State::paused ? "paused" : "shutdown";
    return {{"status", status}, {"singlestep", false}, {"running", s == State::running}};
}

Json query_commands(QmpContext&, const Json&) {
    Json list = Json::array({{{"name", "qmp_capabilities"}}});
    for (const QmpCommand& command : qmp_commands()) list.push_back({{"name", command.name}});
    return list;
}

Json query_version(QmpContext&, const Json&) { return qmp_version(); }

Json query_name(QmpContext& c, const Json&) {
    const std::string name = c.target.name();
    return name.empty() ? done() : Json{{"name", name}};
}

Json stop(QmpContext& c, const Json&) { return c.target.stop(), done(); }
Json cont(QmpContext& c, const Json&) { return c.target.cont(), done(); }
Json quit(QmpContext& c, const Json&) { return c.target.quit(), done(); }
Json system_reset(QmpContext& c, const Json&) { return c.target.system_reset(), c.script.forget_pointer(), done(); }
Json system_powerdown(QmpContext& c, const Json&) { return c.target.system_powerdown(), done(); }

/// A file that is removed again unless everything went well.
class OutputFile {
public:
    explicit OutputFile(std::string path) : path_{std::move(path)}, file_{std::fopen(path_.c_str(), "wb")} {
        if (!file_) qmp_fail("Could not open '" + path_ + "': " + std::strerror(errno));
    }
    ~OutputFile() {
        if (!file_) return;
        std::fclose(file_);
        std::remove(path_.c_str());
    }
    void write(std::span<const u8> bytes) {
        if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) failed();
    }
    void close() {
        std::FILE* f = std::exchange(file_, nullptr);
        if (std::fclose(f) != 0) failed();
    }

private:
    [[noreturn]] void failed() { qmp_fail("writing '" + path_ + "' failed: " + std::strerror(errno)); }
    std::string path_;
    std::FILE* file_;
};

void no_such_display(const Json& a) {
    if (a.contains("device")) qmp_device_not_found(argument<std::string>(a, "device"));
    if (a.contains("head")) qmp_fail("'head' must be specified together with 'device'");
}

Json screendump(QmpContext& c, const Json& a) {
    no_such_display(a);
    const auto path = argument<std::string>(a, "filename"), format = argument<std::string>(a, "format", "ppm");
    if (format != "ppm" && format != "png") qmp_fail("Parameter 'format' does not accept value '" + format + "'");
    Frame f;
    c.target.render(f);
    if (format == "png") {
        if (auto r = write_png(path, f); !r) qmp_fail(r.error().message);
        return done();
    }
    std::string ppm = "P6\n" + std::to_string(f.width) + " " + std::to_string(f.height) + "\n255\n";
    for (u32 p : f.pixels)
        ppm += static_cast<char>(p >> 16), ppm += static_cast<char>(p >> 8), ppm += static_cast<char>(p);
    OutputFile file{path};
    file.write({reinterpret_cast<const u8*>(ppm.data()), ppm.size()});
    file.close();
    return done();
}

Json screen_text(QmpContext& c, const Json&) {
    Json lines = Json::array();
    for (std::string& line : c.target.text_screen()) lines.push_back(std::move(line));
    return lines;
}

/// A KeyValue: {"type": "qcode", "data": name} or {"type": "number", "data": scan code}.
u8 key_value(const Json& v, const std::string& path) {
    if (!v.is_object()) qmp_fail("Invalid parameter type for '" + path.substr(0, path.size() - 1) + "', expected: object");
    const auto type = qmp_member(v, "type", "s", path).get<std::string>();
    std::optional<u8> usage;
    if (type == "qcode") {
        const auto name = qmp_member(v, "data", "s", path).get<std::string>();
        if (usage = usage_of_qcode(name); !usage) qmp_fail("Parameter 'data' does not accept value '" + name + "'");
    } else if (type == "number") {
        const Json& number = qmp_member(v, "data", "i", path);
        if (usage = usage_of_number(number.get<u64>()); !usage) qmp_fail("Parameter 'data' does not accept value '" + number.dump() + "'");
    } else {
        qmp_fail("Parameter 'type' does not accept value '" + type + "'");
    }
    return *usage;
}

void input_accepted(bool all) {
    if (!all) qmp_fail("too much input is waiting for the machine already");
}

Json send_key(QmpContext& c, const Json& a) {
    constexpr i64 kMaxHold = 3'600'000;
    const auto hold = argument<i64>(a, "hold-time", 100);
    if (hold < 0 || hold > kMaxHold) qmp_fail("Parameter 'hold-time' expects milliseconds up to an hour");
    std::vector<u8> usages;
    for (const Json& key : a.at("keys")) usages.push_back(key_value(key, "keys[" + std::to_string(usages.size()) + "]."));
    input_accepted(c.script.chord(usages, static_cast<u64>(hold) * (kSecond / 1000)));
    return done();
}

int axis_value(const Json& data, const std::string& path, bool& is_y) {
    const auto axis = qmp_member(data, "axis", "s", path).get<std::string>();
    if (axis != "x" && axis != "y") qmp_fail("Parameter 'axis' does not accept value '" + axis + "'");
    is_y = axis == "y";
    return static_cast<int>(std::clamp<i64>(qmp_member(data, "value", "i", path).get<i64>(), -32768, 32767));
}

InputEvent button_event(const Json& data, const std::string& path) {
    const bool down = qmp_member(data, "down", "b", path).get<bool>();
    const auto name = qmp_member(data, "button", "s", path).get<std::string>();
    static constexpr const char* kButtons[] = {"left", "right", "middle", "side", "extra"};
    for (unsigned n = 0; n < std::size(kButtons); ++n)
        if (name == kButtons[n]) return InputEvent::button(n, down);
    if (name == "wheel-up") return InputEvent::motion(0, 0, down ? 1 : 0);
    if (name == "wheel-down") return InputEvent::motion(0, 0, down ? -1 : 0);
    // The mouse has no sideways wheel: accepted, without effect.
    if (name == "wheel-left" || name == "wheel-right") return InputEvent::motion(0, 0, 0);
    qmp_fail("Parameter 'button' does not accept value '" + name + "'");
}

/// One request's motion, gathered so that a diagonal is one movement.
struct Motion {
    int dx = 0, dy = 0, x = InputScript::kKeep, y = InputScript::kKeep;
    bool send(InputScript& script) {
        bool all = true;
        if (dx || dy) all &= script.event(InputEvent::motion(dx, dy, 0));
        if (x != InputScript::kKeep || y != InputScript::kKeep) all &= script.move_to(x, y);
        *this = {};
        return all;
    }
};

Json input_send_event(QmpContext& c, const Json& a) {
    no_such_display(a);
    struct Step { InputEvent event; Motion motion; };
    std::vector<Step> steps;  // the whole request is checked before any of it takes effect
    Motion motion;
    size_t n = 0;
    for (const Json& event : a.at("events")) {
        const std::string path = "events[" + std::to_string(n++) + "].";
        if (!event.is_object()) qmp_fail("Invalid parameter type for '" + path.substr(0, path.size() - 1) + "', expected: object");
        const auto type = qmp_member(event, "type", "s", path).get<std::string>();
        const Json& data = qmp_member(event, "data", "o", path);
        const std::string inner = path + "data.";
        bool is_y = false;
        if (type == "rel") {
            const int v = axis_value(data, inner, is_y);
            (is_y ? motion.dy : motion.dx) = std::clamp((is_y ? motion.dy : motion.dx) + v, -32768, 32767);
        } else if (type == "abs") {
            const int v = std::max(0, axis_value(data, inner, is_y));
            (is_y ? motion.y : motion.x) = v;
        } else if (type == "key" || type == "btn") {
            InputEvent e;
            if (type == "btn") {
                e = button_event(data, inner);
            } else {
                const bool down = qmp_member(data, "down", "b", inner).get<bool>();
                e = InputEvent::key(key_value(qmp_member(data, "key", "o", inner), inner + "key."), down);
            }
            steps.push_back({e, std::exchange(motion, {})});
        } else {
            qmp_fail("Parameter 'type' does not accept value '" + type + "'");
        }
    }
    if (c.target.run_state() != State::running) qmp_fail("VM not running");
    bool all = true;
    for (Step& s : steps) all = s.motion.send(c.script) && c.script.event(s.event) && all;
    input_accepted(motion.send(c.script) && all);
    return done();
}

Json save_memory(QmpContext& c, const Json& a, bool physical) {
    const u64 address = argument<u64>(a, "val"), size = argument<u64>(a, "size");
    auto invalid = [&] {
        char text[100];
        std::snprintf(text, sizeof text, "Invalid addr 0x%016llx/size %llu specified", static_cast<unsigned long long>(address),
                      static_cast<unsigned long long>(size));
        qmp_fail(text);
    };
    constexpr u64 kChunk = 64 * kKiB;
    std::vector<u8> chunk(kChunk);
    auto fetch = [&](u64 at) {
        const std::span<u8> out{chunk.data(), std::min(kChunk, size - at)};
        if (!(physical ? c.target.read_physical(address + at, out) : c.target.read_virtual(address + at, out))) invalid();
        return out;
    };
    // The last byte first: a size beyond all memory must not fill the disk before it fails.
    u8 last;
    if (size && (address + size < address ||
                 !(physical ? c.target.read_physical(address + size - 1, {&last, 1}) : c.target.read_virtual(address + size - 1, {&last, 1}))))
        invalid();
    OutputFile file{argument<std::string>(a, "filename")};
    for (u64 at = 0; at < size; at += kChunk) file.write(fetch(at));
    file.close();
    return done();
}

Json pmemsave(QmpContext& c, const Json& a) { return save_memory(c, a, true); }
Json memsave(QmpContext& c, const Json& a) {
    if (argument<i64>(a, "cpu-index", 0) != 0) qmp_fail("Parameter 'cpu-index' expects a CPU number");
    return save_memory(c, a, false);
}

std::string drive_named_in(QmpContext& c, const Json& a) {
    if (a.contains("device") == a.contains("id")) qmp_fail("Need exactly one of 'device' and 'id'");
    const auto drive = argument<std::string>(a, a.contains("device") ? "device" : "id");
    if (!c.target.has_drive(drive)) qmp_device_not_found(drive);
    return drive;
}

Json change_medium(QmpContext& c, const Json& a) {
    const std::string drive = drive_named_in(c, a);
    const auto mode = argument<std::string>(a, "read-only-mode", "retain"), format = argument<std::string>(a, "format", "raw");
    if (mode != "retain" && mode != "read-only" && mode != "read-write")
        qmp_fail("Parameter 'read-only-mode' does not accept value '" + mode + "'");
    if (format != "raw") qmp_fail("Unknown driver '" + format + "'");
    if (auto r = c.target.change_medium(drive, argument<std::string>(a, "filename"), mode == "read-only"); !r) qmp_fail(r.error().message);
    return done();
}

Json eject(QmpContext& c, const Json& a) {
    const std::string drive = drive_named_in(c, a);
    if (auto r = c.target.eject(drive, argument<bool>(a, "force", false)); !r) qmp_fail(r.error().message);
    return done();
}

Json human_monitor_command(QmpContext& c, const Json& a) {
    if (argument<i64>(a, "cpu-index", 0) != 0) qmp_fail("Parameter 'cpu-index' expects a CPU number");
    return c.monitor.run(argument<std::string>(a, "command-line"));
}

constexpr QmpCommand kCommands[] = {
    {"query-status", "", query_status},
    {"query-commands", "", query_commands},
    {"query-version", "", query_version},
    {"query-name", "", query_name},
    {"stop", "", stop},
    {"cont", "", cont},
    {"quit", "", quit},
    {"system_reset", "", system_reset},
    {"system_powerdown", "", system_powerdown},
    {"screendump", "filename:s ?device:s ?head:i ?format:s", screendump},
    {"send-key", "keys:l ?hold-time:i", send_key},
    {"input-send-event", "?device:s ?head:i events:l", input_send_event},
    {"pmemsave", "val:i size:i filename:s", pmemsave},
    {"memsave", "val:i size:i filename:s ?cpu-index:i", memsave},
    {"blockdev-change-medium", "?device:s ?id:s filename:s ?format:s ?force:b ?read-only-mode:s", change_medium},
    {"eject", "?device:s ?id:s ?force:b", eject},
    {"human-monitor-command", "command-line:s ?cpu-index:i", human_monitor_command},
    {"x-screen-text", "", screen_text},
};
}  // namespace

std::span<const QmpCommand> qmp_commands() { return kCommands; }
}  // namespace calque
