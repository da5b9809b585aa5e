#include "frontend/cli/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <fstream>
#include <sstream>

#include "support/comma_list.h"
#include "support/log.h"

namespace calque {
namespace {
namespace po = boost::program_options;
using Strings = std::vector<std::string>;

// Values as text; what they mean is found out below, where a sentence can say what is wrong.
struct Raw {
    std::string memory = "512M", cpu, bios, vgabios, boot, kernel, initrd, append, display = "auto", engine = "jit", clock, stop_at,
                rtc, jit_disable, screenshot, debugcon, firmware_log, control, name, config, gdb, save, save_at, save_every, load, hash_at, record, replay, until, history,
                trace, coverage, profile, warm = "12";
    Strings disk, cdrom, floppy, serial, parallel, device, log;
};

struct Descriptions {
    po::options_description general{"General"}, machine{"Machine"}, drives{"Drives and booting"}, ports{"Ports"},
        display{"Display and control"}, running{"Running"}, engine{"Translation"}, diagnosis{"Diagnosis"};
    po::options_description all;
};

template <class T>
auto text(T& target, const char* name) { return po::value<T>(&target)->value_name(name); }

void describe(Descriptions& d, Raw& r) {
    d.general.add_options()
        ("help,h", "show this and exit")
        ("version", "show the version and exit")
        ("config", text(r.config, "FILE"), "read options from FILE, one a line: name = value")
        ("name", text(r.name, "NAME"), "what to call the machine in the window's title");
    d.machine.add_options()
        ("memory,m", text(r.memory, "SIZE"), "RAM, like 512M (the default) or 4G")
        ("cpu", text(r.cpu, "MODEL"), "processor model; a wrong name lists them")
        ("bios", text(r.bios, "FILE"), "system BIOS instead of SeaBIOS")
        ("vgabios", text(r.vgabios, "FILE"), "VGA BIOS instead of SeaBIOS's")
        ("device", text(r.device, "DEVICE")->composing(), "add a device: isa-debug-exit (port 0xf4)")
        ("rtc", text(r.rtc, "SECONDS"), "what the real-time clock shows at the start, in seconds since 1970 (UTC)");
    d.drives.add_options()
        ("disk", text(r.disk, "FILE[,OPTION]")->composing(), "hard disk, a raw image; options readonly=on, snapshot=on; repeatable")
        ("cdrom", text(r.cdrom, "FILE")->composing(), "CD-ROM; 'empty' is a drive without a disc; repeatable")
        ("floppy", text(r.floppy, "FILE[,OPTION]")->composing(), "floppy disk; 'empty' is a drive without one; repeatable")
        ("boot", text(r.boot, "ORDER"), "what to boot from, first first: a floppy, c disk, d CD-ROM")
        ("boot-menu", "let the firmware offer a menu")
        ("kernel", text(r.kernel, "FILE"), "boot a Linux bzImage or a Multiboot 1 image directly")
        ("initrd", text(r.initrd, "FILE"), "initial RAM disk; for Multiboot modules, FILE arguments,FILE ...")
        ("append", text(r.append, "TEXT"), "kernel command line");
    d.ports.add_options()
        ("serial", text(r.serial, "WHERE")->composing(), "serial port: stdio, none, pty, file:FILE, tcp:HOST:PORT; up to four times")
        ("parallel", text(r.parallel, "WHERE")->composing(), "parallel port: none or file:FILE; up to three times")
        ("debugcon", text(r.debugcon, "FILE"), "write what the guest sends to port 0xe9")
        ("firmware-log", text(r.firmware_log, "FILE"), "write what SeaBIOS says at port 0x402");
    d.display.add_options()
        ("display", text(r.display, "KIND"), "sdl (a window), none, or auto: a window where there is a desktop")
        ("screenshot", text(r.screenshot, "FILE.png"), "at the end, save what the monitor shows")
        ("control", text(r.control, "unix:PATH"), "answer QMP clients on a socket");
    d.running.add_options()
        ("clock", text(r.clock, "MODE"), "fixed: time is counted in instructions, idle time is skipped, runs repeat exactly; "
                                         "host: time follows the wall clock; default: host when somebody watches")
        ("stop-at", text(r.stop_at, "N"), "stop after exactly N instructions")
        ("save", text(r.save, "FILE"), "write a snapshot of the machine at the end, or at --save-at; with --save-every a folder for many")
        ("save-at", text(r.save_at, "N"), "with --save: write it after exactly N instructions and go on")
        ("save-every", text(r.save_every, "N"), "with --save: write one whenever the instruction count is a multiple of N")
        ("load", text(r.load, "FILE"), "go on from a snapshot; the machine is the one in it. With calque replay: begin there, if it was saved within the recording")
        ("record", text(r.record, "FILE"), "write down all that reaches the machine, for calque replay FILE; images are not written")
        ("embed-images", "with --record or --save: put the images' contents into the file, so that it can be used without them")
        ("until", text(r.until, "N"), "with calque replay: stop after exactly N instructions")
        ("no-reboot", "a reset or triple fault ends the run")
        ("state-hash", "at the end, print the instruction count and a hash of processor, RAM and devices")
        ("state-hash-at", text(r.hash_at, "N,N,..."), "print the same after exactly so many instructions, and go on")
        ("stats", "at the end, print counters and speed");
    d.engine.add_options()
        ("engine", text(r.engine, "KIND"), "jit (the default) or interp")
        ("jit-disable", text(r.jit_disable, "LIST"), "switch optimisations off; a wrong name lists them")
        ("warm", text(r.warm, "N"), "executions before a block is translated");
    d.diagnosis.add_options()
        ("gdb", text(r.gdb, "HOST:PORT"), "let GDB connect to HOST:PORT, :PORT or unix:PATH (target remote HOST:PORT)")
        ("history", text(r.history, "SIZE"), "with --gdb: how much of the host's memory may keep what has been, for going back; 1G by default, 0 for none")
        ("trace", text(r.trace, "FILE[,FILTER]"), "write what the processor does, for calque trace FILE; FILTER: instructions, memory, interrupts, "
                                                  "ports, count=A-B, address=A-B, data=A-B, ring=N, cr3=N")
        ("coverage", text(r.coverage, "FILE[,OPTION]"), "at the end, write which code has run, as drcov does; option module=NAME:FIRST-LAST")
        ("profile", text(r.profile, "FILE[,OPTION]"), "at the end, write the hottest functions (- is standard output), and say perf what is where; "
                                                      "options symbols=FILE[:OFFSET], every=N, lines=N")
        ("wait", "with --gdb: do not start before GDB says so")
        ("log", text(r.log, "MODULE:LEVEL")->composing(), "error, warn, info, debug or trace messages of a module, or of all; repeatable");
    for (auto* group : {&d.general, &d.machine, &d.drives, &d.ports, &d.display, &d.running, &d.engine, &d.diagnosis}) d.all.add(*group);
}

template <class T>
Result<T> number(const std::string& value, const std::string& option) {
    try {
        size_t used = 0;
        const long long n = std::stoll(value, &used, 0);
        if (used == value.size() && (n >= 0 || std::is_signed_v<T>)) return static_cast<T>(n);
    } catch (const std::exception&) {
    }
    return Error{option + " takes a number, not '" + value + "'"};
}

Result<void> take_machine(const Raw& r, const po::variables_map& given, Options& o) {
    MachineConfig& m = o.machine;
    auto memory = parse_size(r.memory);
    if (!memory) return Error{"--memory: " + memory.error().message};
    m.memory = *memory;
    m.cpu_model = r.cpu, m.bios = r.bios, m.vga_bios = r.vgabios, m.boot_order = r.boot;
    m.kernel = r.kernel, m.initrd = r.initrd, m.cmdline = r.append;
    m.boot_menu = given.count("boot-menu"), m.reboot = !given.count("no-reboot"), m.embed_images = given.count("embed-images");
    for (const std::string& device : r.device) {
        if (device != "isa-debug-exit") return Error{"there is no device '" + device + "'; --device knows isa-debug-exit"};
        m.debug_exit = true;
    }
    const auto images = [&](const Strings& texts, const char* option, bool may_be_empty, std::vector<ImageConfig>& to) -> Result<void> {
        for (const std::string& t : texts) {
            if (may_be_empty && t == "empty") { to.emplace_back(); continue; }
            auto image = parse_image(t, option);
            if (!image) return image.error();
            to.push_back(*image);
        }
        return {};
    };
    if (auto x = images(r.disk, "--disk", false, m.disks); !x) return x;
    if (auto x = images(r.cdrom, "--cdrom", true, m.cdroms); !x) return x;
    return images(r.floppy, "--floppy", true, m.floppies);
}

/// A number that may be left out.
template <class T>
Result<void> take_number(const std::string& text, const std::string& option, std::optional<T>& to) {
    if (text.empty()) return {};
    auto n = number<T>(text, option);
    if (!n) return n.error();
    to = *n;
    return {};
}

Result<void> take_engine(const Raw& r, Options& o) {
    if (r.engine != "jit" && r.engine != "interp") return Error{"--engine is jit or interp, not '" + r.engine + "'"};
    o.machine.jit = r.engine == "jit";
    o.machine.jit_disable = comma_list(r.jit_disable);
    auto warm = number<u32>(r.warm, "--warm");
    if (!warm) return warm.error();
    o.machine.warm = *warm;
    return {};
}

Result<void> take_running(const Raw& r, Options& o) {
    if (!r.clock.empty() && r.clock != "fixed" && r.clock != "host") return Error{"--clock is fixed or host, not '" + r.clock + "'"};
    if (!r.clock.empty()) o.clock = r.clock == "fixed" ? ClockMode::fixed : ClockMode::host;
    if (r.display != "auto" && r.display != "sdl" && r.display != "none")
        return Error{"--display is sdl, none or auto, not '" + r.display + "'"};
    o.display = r.display == "sdl" ? Options::Display::sdl : r.display == "none" ? Options::Display::none : Options::Display::automatic;
    o.save = r.save, o.load = r.load, o.record = r.record, o.replay = r.replay;
    if (auto n = take_number(r.stop_at, "--stop-at", o.stop_at); !n) return n;
    if (auto n = take_number(r.until, "--until", o.stop_at); !n) return n;
    if (auto n = take_number(r.save_at, "--save-at", o.save_at); !n) return n;
    if (auto n = take_number(r.save_every, "--save-every", o.save_every); !n) return n;
    for (const std::string& n : comma_list(r.hash_at)) {
        auto at = number<u64>(n, "--state-hash-at");
        if (!at) return at.error();
        o.hash_at.push_back(*at);
    }
    std::sort(o.hash_at.begin(), o.hash_at.end());
    if (auto n = take_number(r.rtc, "--rtc", o.rtc_epoch); !n) return n;
    if (!r.until.empty() && o.replay.empty()) return Error{"--until is for calque replay FILE; elsewhere it is --stop-at"};
    if (o.save_at && o.save.empty()) return Error{"--save-at says when, and --save which file"};
    if (o.machine.embed_images && o.save.empty() && o.record.empty()) return Error{"--embed-images is about what --record and --save write; give one of them"};
    if (o.save_every && o.save.empty()) return Error{"--save-every says how often, and --save in which folder"};
    if (o.save_every && o.save_at) return Error{"--save-at is for one snapshot and --save-every for many, so they do not go together"};
    if (o.save_every == 0) return Error{"--save-every takes a number of instructions, not 0"};
    return {};
}

Result<void> take_ports(const Raw& r, Options& o) {
    unsigned stdio = 0;
    for (const std::string& where : r.serial) {
        auto serial = parse_serial(where);
        if (!serial) return Error{"--serial: " + serial.error().message};
        stdio += serial->kind == SerialOption::Kind::stdio;
        o.serial.push_back(*serial);
    }
    if (stdio > 1) return Error{"only one serial port can have standard input and output"};
    if (o.serial.size() > 4) return Error{"there are at most four serial ports"};
    for (const std::string& where : r.parallel) {
        auto parallel = parse_serial(where);
        if (!parallel || (parallel->kind != SerialOption::Kind::none && parallel->kind != SerialOption::Kind::file))
            return Error{"--parallel is none or file:FILE, not '" + where + "'"};
        o.parallel.push_back(*parallel);
    }
    if (o.parallel.size() > 3) return Error{"there are at most three parallel ports"};
    if (!r.control.empty() && !r.control.starts_with("unix:")) return Error{"--control takes unix:PATH, not '" + r.control + "'"};
    return {};
}

Result<void> check_logs(const Strings& logs) {
    for (const std::string& log : logs) {
        const size_t colon = log.rfind(':');
        LogLevel level;
        if (colon == std::string::npos || !Log::parse_level(log.substr(colon + 1), level))
            return Error{"--log takes MODULE:LEVEL with a level of error, warn, info, debug or trace, not '" + log + "'"};
    }
    return {};
}

// What a snapshot or a recording has in it.
Result<void> check_load(const po::variables_map& given, const Options& o) {
    const std::string whence = o.replay.empty() ? "--load takes the machine from the snapshot" : "a replay takes the machine from the recording";
    for (const char* name : {"memory", "cpu", "bios", "vgabios", "device", "rtc", "boot", "boot-menu", "kernel", "initrd", "append"})
        if (given.count(name)) return Error{whence + "; --" + name + " cannot change it"};
    if (o.replay.empty()) return {};
    for (const char* name : {"record", "clock", "no-reboot"})
        if (given.count(name)) return Error{whence + "; --" + name + " cannot go with it"};
    return {};
}

// The library's own words name its types; ours name the option.
Result<void> read(const Strings& arguments, Descriptions& d, po::variables_map& given) {
    try {
        constexpr int kStyle = po::command_line_style::default_style ^ po::command_line_style::allow_guessing;
        po::store(po::command_line_parser(arguments).options(d.all).positional({}).style(kStyle).run(), given);
        if (given.count("config")) {
            const std::string path = given["config"].as<std::string>();
            std::ifstream file{path};
            std::stringstream content;
            if (!file || !(content << file.rdbuf())) return Error{"cannot read the config file '" + path + "'"};
            try {
                po::store(po::parse_config_file(content, d.all), given);
            } catch (const po::error& e) {
                return Error{"in the config file '" + path + "': " + e.what()};
            }
        }
        po::notify(given);
    } catch (const po::too_many_positional_options_error&) {
        return Error{"every argument belongs to an option; see --help"};
    } catch (const po::error& e) {
        return Error{std::string{e.what()} + "; see --help"};
    }
    return {};
}
}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments) {
    Raw raw;
    Descriptions descriptions;
    describe(descriptions, raw);
    po::variables_map given;
    const bool replay = !arguments.empty() && arguments[0] == "replay";
    if (replay && (arguments.size() < 2 || arguments[1].starts_with("-"))) return Error{"calque replay needs the name of a recording"};
    const Strings options{arguments.begin() + (replay ? 2 : 0), arguments.end()};
    if (replay) raw.replay = arguments[1];
    if (!options.empty() && !options[0].starts_with("-")) return Error{"'" + options[0] + "' belongs to no option; see --help"};
    if (auto r = read(options, descriptions, given); !r) return r.error();
    Options o;
    o.help = given.count("help"), o.version = given.count("version");
    if (o.help || o.version) return o;
    if (auto r = take_machine(raw, given, o); !r) return r.error();
    if (auto r = take_engine(raw, o); !r) return r.error();
    if (auto r = take_running(raw, o); !r) return r.error();
    if (auto r = take_ports(raw, o); !r) return r.error();
    if (!o.load.empty() || !o.replay.empty())
        if (auto r = check_load(given, o); !r) return r.error();
    if (auto r = check_logs(raw.log); !r) return r.error();
    o.state_hash = given.count("state-hash"), o.stats = given.count("stats");
    o.name = raw.name, o.screenshot = raw.screenshot, o.debugcon = raw.debugcon, o.firmware_log = raw.firmware_log;
    o.control = raw.control, o.log = raw.log, o.gdb = raw.gdb;
    o.gdb_wait = given.count("wait");
    if (!raw.history.empty()) {
        auto size = raw.history == "0" ? Result<u64>{0} : parse_size(raw.history);
        if (!size) return Error{"--history: " + size.error().message};
        if (o.gdb.empty()) return Error{"--history is for going back under a debugger; --gdb says where it connects"};
        o.history = *size;
    }
    if (auto trace = parse_trace(raw.trace); !trace) return trace.error();
    else o.trace = *trace;
    if (auto coverage = parse_coverage(raw.coverage); !coverage) return coverage.error();
    else o.coverage = *coverage;
    if (auto profile = parse_profile(raw.profile); !profile) return profile.error();
    else o.profile = *profile;
    if (!o.trace.path.empty() && !o.gdb.empty()) return Error{"--trace and --gdb do not go together; a replay makes the same run again for either"};
    if (o.gdb_wait && o.gdb.empty()) return Error{"--wait waits for a debugger; --gdb says where"};
    return o;
}

std::string help_text() {
    Raw raw;
    Descriptions d;
    describe(d, raw);
    std::ostringstream out;
    out << "Calque runs an unmodified PC operating system by translation.\n\n"
           "  calque --kernel linux --initrd initrd.gz --append console=ttyS0 --serial stdio --display none\n"
           "  calque --disk disk.img --memory 2G\n"
           "  calque replay FILE       runs a recording (--record) again, to the bit; takes --gdb, --until, --engine and the like\n"
           "  calque trace FILE        prints what --trace has written; see calque trace --help\n"
           "  calque exec FILE...      runs single instructions and compares; see calque exec --help\n"
           "  calque verify ...        runs a machine on two executors and finds where they differ; see calque verify --help\n"
           "  calque bisect A B        finds where two recordings differ; see calque bisect --help\n";
    for (const auto* group : {&d.general, &d.machine, &d.drives, &d.ports, &d.display, &d.running, &d.engine, &d.diagnosis})
        out << "\n" << *group;
    out << "\nWith --serial stdio on a terminal, Ctrl-A x quits and Ctrl-A h lists the other keys.\n"
           "Exit status: 0 after power off, 1 after an error, (v << 1) | 1 when the guest writes v to isa-debug-exit.\n";
    return out.str();
}
}  // namespace calque
