// One client's conversation in QMP (QEMU Machine Protocol Specification): requests in, responses out.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "frontend/control/input_script.h"
#include "frontend/control/monitor.h"

namespace calque {

using Json = nlohmann::ordered_json;

/// What a command fails with.
struct QmpError {
    const char* error_class;
    std::string desc;
};
[[noreturn]] void qmp_fail(std::string desc);
[[noreturn]] void qmp_device_not_found(const std::string& device);

/// What commands work on.
struct QmpContext {
    ControlTarget& target;
    InputScript& script;
    HumanMonitor& monitor;
};

struct QmpCommand {
    const char* name;
    /// "name:type" separated by blanks, "?name:type" where it may be left out; types s(tring), i(nteger), b(oolean),
    /// l(ist).
    const char* arguments;
    Json (*run)(QmpContext&, const Json& arguments);
};
std::span<const QmpCommand> qmp_commands();

/// The value of an argument whose presence and type have been checked, or `otherwise`.
template <class T>
T argument(const Json& arguments, const char* name, T otherwise = {}) {
    const auto it = arguments.find(name);
    return it == arguments.end() || it->is_null() ? otherwise : it->get<T>();
}
/// A member of an argument, found by its path; for the tagged unions of input events.
const Json& qmp_member(const Json& object, const char* name, const char* type, const std::string& path);

Json qmp_version();
std::string qmp_line(const Json&);

class QmpSession {
public:
    QmpSession(ControlTarget& target, InputScript& script) : monitor_{target}, context_{target, script, monitor_} {}
    static std::string greeting();
    /// Answers one request.
    std::string handle(const std::string& text);
    static std::string parse_error(const char* desc);
    bool negotiated() const { return negotiated_; }  // events are sent from then on

private:
    Json execute(const Json& request);
    HumanMonitor monitor_;
    QmpContext context_;
    bool negotiated_ = false;
};
}  // namespace calque
