#include "frontend/cli/options.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>

using namespace calque;

namespace {
std::string why(std::vector<std::string> arguments) {
    const auto o = parse_options(arguments);
    REQUIRE_FALSE(o.has_value());
    return o.error().message;
}
bool says(const std::string& text, const std::string& part) {
    CAPTURE(text);
    return text.find(part) != std::string::npos;
}
}  // namespace

TEST_CASE("options: a debugger") {
    const auto o = parse_options({"--gdb", ":1234", "--wait"});
    REQUIRE(o.has_value());
    CHECK(o->gdb == ":1234");
    CHECK(o->gdb_wait);
    CHECK(says(why({"--wait"}), "--gdb says where"));
}

TEST_CASE("options: a trace") {
    const auto o = parse_options({"--trace", "a,,b.trace,ports,count=7-"});
    REQUIRE(o.has_value());
    CHECK(o->trace.path == "a,b.trace");
    CHECK(o->trace.filter_text == "ports,count=7-");
    CHECK((o->trace.filter.ports && !o->trace.filter.instructions && o->trace.filter.count.first == 7));
    CHECK(says(why({"--trace", ",ports"}), "--trace needs the name of a file"));
    CHECK(says(why({"--trace", "x,count=2-1"}), "'2-1' is no range"));
}

TEST_CASE("options: coverage and a profile") {
    const auto o = parse_options({"--coverage", "a.drcov,module=C:/x/vmlinux:0x1000-0x1fff", "--profile", "-,every=7,symbols=System.map:0x100,symbols=a:b,lines=3"});
    REQUIRE(o.has_value());
    CHECK(o->coverage.path == "a.drcov");
    REQUIRE(o->coverage.modules.size() == 1);
    CHECK((o->coverage.modules[0].name == "C:/x/vmlinux" && o->coverage.modules[0].first == 0x1000 && o->coverage.modules[0].last == 0x1fff));
    CHECK((o->profile.path == "-" && o->profile.every == 7 && o->profile.lines == 3));
    CHECK(o->profile.symbols == std::vector<std::pair<std::string, u64>>{{"System.map", 0x100}, {"a:b", 0}});
    CHECK(says(why({"--coverage", "a,module=:1-2"}), "NAME:FIRST-LAST"));
    CHECK(says(why({"--profile", "a,every=1-2"}), "every=1-2"));
}

TEST_CASE("options: what a user writes arrives in the configuration") {
    const auto o = parse_options({"--memory", "2G", "--disk", "a,,b.img,readonly=on", "--disk=c.img,snapshot", "--cdrom", "empty",
                                  "--kernel", "k", "--append", "console=ttyS0 quiet", "--serial", "stdio", "--serial=file:x.txt",
                                  "--serial", "tcp:localhost:4444", "--clock=fixed", "--stop-at", "300000000", "--state-hash",
                                  "--jit-disable", "chain,regs", "--no-reboot", "--device", "isa-debug-exit", "-m", "3G"});
    REQUIRE_FALSE(o.has_value());  // memory twice
    const auto p = parse_options({"--memory", "2G", "--disk", "a,,b.img,readonly=on", "--disk=c.img,snapshot", "--cdrom", "empty",
                                  "--kernel", "k", "--append", "console=ttyS0 quiet", "--serial", "stdio", "--serial=file:x.txt",
                                  "--serial", "tcp:localhost:4444", "--clock=fixed", "--stop-at", "300000000", "--state-hash",
                                  "--jit-disable", "chain,regs", "--no-reboot", "--device", "isa-debug-exit"});
    REQUIRE(p.has_value());
    CHECK(p->machine.memory == 2 * kGiB);
    REQUIRE(p->machine.disks.size() == 2);
    CHECK(p->machine.disks[0].path == "a,b.img");
    CHECK(p->machine.disks[0].read_only);
    CHECK(p->machine.disks[1].snapshot);
    CHECK(p->machine.cdroms.at(0).path.empty());
    CHECK(p->machine.cmdline == "console=ttyS0 quiet");
    REQUIRE(p->serial.size() == 3);
    CHECK(p->serial[1].path == "x.txt");
    CHECK(p->serial[2].port == "4444");
    CHECK(*p->clock == ClockMode::fixed);
    CHECK(*p->stop_at == 300'000'000);
    CHECK(p->state_hash);
    CHECK(p->machine.jit_disable == std::vector<std::string>{"chain", "regs"});
    CHECK_FALSE(p->machine.reboot);
    CHECK(p->machine.debug_exit);
}

TEST_CASE("options: wrong ones are answered with a sentence that names them") {
    CHECK(says(why({"--colour", "red"}), "colour"));
    CHECK(says(why({"disk.img"}), "disk.img"));
    CHECK(says(why({"--display", "none", "disk.img"}), "--help"));
    CHECK(says(why({"--memory", "lots"}), "lots"));
    CHECK(says(why({"--memory", "99999999999G"}), "too large"));
    CHECK(says(why({"--disk", "a.img,color=red"}), "color=red"));
    CHECK(says(why({"--disk", ""}), "--disk"));
    CHECK(says(why({"--serial", "modem"}), "modem"));
    CHECK(says(why({"--serial", "tcp:4444"}), "tcp:HOST:PORT"));
    CHECK(says(why({"--serial", "stdio", "--serial", "stdio"}), "only one"));
    CHECK(says(why({"--engine", "steam"}), "steam"));
    CHECK(says(why({"--clock", "sun"}), "sun"));
    CHECK(says(why({"--stop-at", "-5"}), "--stop-at"));
    CHECK(says(why({"--stop-at", "12x"}), "12x"));
    CHECK(says(why({"--device", "flux-capacitor"}), "flux-capacitor"));
    CHECK(says(why({"--log", "all"}), "MODULE:LEVEL"));
    CHECK(says(why({"--control", "tcp:1"}), "unix:PATH"));
    CHECK(says(why({"--config", "/nowhere/at-all"}), "/nowhere/at-all"));
}

TEST_CASE("options: a config file holds the same options, and the command line wins") {
    char name[] = "/tmp/calque-config-XXXXXX";
    REQUIRE(::mkstemp(name) >= 0);
    std::ofstream{name} << "# a machine\nmemory = 1G\nserial = none\nstate-hash =\nappend = a=b c\n";
    const auto o = parse_options({"--config", name, "--memory", "64M"});
    REQUIRE(o.has_value());
    CHECK(o->machine.memory == 64 * kMiB);
    CHECK(o->serial.size() == 1);
    CHECK(o->machine.cmdline == "a=b c");
    CHECK(o->state_hash);
    std::ofstream{name} << "memroy = 1G\n";
    CHECK(says(why({"--config", name}), "memroy"));
    ::unlink(name);
}

TEST_CASE("options: help groups everything") {
    const std::string help = help_text();
    for (const char* part : {"Machine", "Drives", "--memory", "--jit-disable", "--control", "Ctrl-A"}) CHECK(says(help, part));
}
