#include "frontend/control/qmp.h"

namespace calque {

// Clients look at QEMU's version to learn which commands to expect; what we answer is modelled on this one.
constexpr int kMajor = 7, kMinor = 2, kMicro = 0;

void qmp_fail(std::string desc) { throw QmpError{"GenericError", std::move(desc)}; }
void qmp_device_not_found(const std::string& device) {
    throw QmpError{"DeviceNotFound", "Device '" + device + "' not found"};
}

Json qmp_version() {
    return {{"qemu", {{"micro", kMicro}, {"minor", kMinor}, {"major", kMajor}}}, {"package", "Calque 0.1.0"}};
}

std::string qmp_line(const Json& j) { return j.dump(-1, ' ', false, Json::error_handler_t::replace) + "\r\n"; }

std::string QmpSession::greeting() {
    return qmp_line({{"QMP", {{"version", qmp_version()}, {"capabilities", Json::array()}}}});
}

static Json error_object(const char* error_class, std::string desc) {
    return {{"class", error_class}, {"desc", std::move(desc)}};
}

std::string QmpSession::parse_error(const char* desc) { return qmp_line({{"error", error_object("GenericError", desc)}}); }

static const char* type_name(const char* type) {
    switch (type[0]) {
    case 's': return "string";
    case 'i': return "integer";
    case 'b': return "boolean";
    case 'l': return "array";
    default: return "object";
    }
}

static bool has_type(const Json& v, const char* type) {
    switch (type[0]) {
    case 's': return v.is_string();
    case 'i': return v.is_number_integer();
    case 'b': return v.is_boolean();
    case 'l': return v.is_array();
    default: return v.is_object();
    }
}

const Json& qmp_member(const Json& object, const char* name, const char* type, const std::string& path) {
    const auto it = object.find(name);
    const std::string full = path + name;
    if (it == object.end()) qmp_fail("Parameter '" + full + "' is missing");
    if (!has_type(*it, type)) qmp_fail("Invalid parameter type for '" + full + "', expected: " + type_name(type));
    return *it;
}

static void check_arguments(const QmpCommand& command, const Json& given) {
    std::string_view list = command.arguments;
    std::string known = " ";
    while (!list.empty()) {
        std::string_view one = list.substr(0, list.find(' '));
        list.remove_prefix(std::min(one.size() + 1, list.size()));
        const bool optional = one.starts_with('?');
        if (optional) one.remove_prefix(1);
        const size_t colon = one.find(':');
        const std::string name{one.substr(0, colon)}, type{one.substr(colon + 1)};
        known.append(name).append(" ");
        if (!optional || given.contains(name)) qmp_member(given, name.c_str(), type.c_str(), "");
    }
    for (const auto& [name, value] : given.items())
        if (name.find(' ') != std::string::npos || known.find(" " + name + " ") == std::string::npos)
            qmp_fail("Parameter '" + name + "' is unexpected");
}

Json QmpSession::execute(const Json& request) {
    for (const auto& [name, value] : request.items())
        if (name != "execute" && name != "arguments" && name != "id") qmp_fail("QMP input member '" + name + "' is unexpected");
    const auto execute = request.find("execute");
    if (execute == request.end()) qmp_fail("QMP input lacks member 'execute'");
    if (!execute->is_string()) qmp_fail("QMP input member 'execute' must be a string");
    static const Json none = Json::object();
    const auto arguments = request.find("arguments");
    if (arguments != request.end() && !arguments->is_object()) qmp_fail("QMP input member 'arguments' must be an object");
    const Json& given = arguments == request.end() ? none : *arguments;
    const auto& name = execute->get_ref<const std::string&>();
    if (name == "qmp_capabilities") {
        if (negotiated_)
            throw QmpError{"CommandNotFound", "Capabilities negotiation is already complete, command ignored"};
        check_arguments({"qmp_capabilities", "?enable:l", nullptr}, given);
        const Json enable = argument(given, "enable", Json::array());
        for (const Json& capability : enable) {
            if (!capability.is_string()) qmp_fail("Invalid parameter type for 'enable[0]', expected: string");
            qmp_fail("Capability '" + capability.get<std::string>() + "' is not available");
        }
        negotiated_ = true;
        return Json::object();
    }
    if (!negotiated_) throw QmpError{"CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'"};
    for (const QmpCommand& c : qmp_commands())
        if (name == c.name) {
            check_arguments(c, given);
            return c.run(context_, given);
        }
    throw QmpError{"CommandNotFound", "The command " + name + " has not been found"};
}

std::string QmpSession::handle(const std::string& text) {
    const Json request = Json::parse(text, nullptr, false);
    if (request.is_discarded()) return parse_error("JSON parse error, expecting value");
    if (!request.is_object()) return parse_error("QMP input must be a JSON object");
    Json answer;
    try {
        answer["return"] = execute(request);
    } catch (const QmpError& e) {
        answer["error"] = error_object(e.error_class, e.desc);
    } catch (const Json::exception& e) {  // an argument of a shape that no check foresaw
        answer["error"] = error_object("GenericError", e.what());
    }
    if (const auto id = request.find("id"); id != request.end()) answer["id"] = *id;
    return qmp_line(answer);
}
}  // namespace calque
