// GDB's view of a real processor: registers, the program counter in every mode, and a whole machine behind the stub.
#include "frontend/gdb/machine.h"

#include <unistd.h>

#include "frontend/gdb/stub.h"
#include "tests/cpu/guest.h"
#include "tests/machine/vga_rom.h"

using namespace calque;
using test::Engine;
using test::Guest;
using Mode = test::Mode;
namespace at = test::at;

namespace {
struct View {
    Guest guest;
    GdbRegisters registers{*guest.cpu};
    explicit View(Mode m) : guest{Engine::interp, m, "90", "max"} {}
    unsigned number(const std::string& name) {
        for (unsigned n = 0; n < registers.all().size(); ++n)
            if (registers.all()[n].name == name) return n;
        FAIL(name);
        return 0;
    }
    u64 get(const std::string& name) {
        u8 b[32]{};
        registers.read(number(name), std::span{b}.first(registers.all()[number(name)].bytes()));
        u64 v = 0;
        for (unsigned i = 0; i < 8; ++i) v |= u64{b[i]} << (8 * i);
        return v;
    }
    std::string set(const std::string& name, u64 v) {
        u8 b[32]{};
        for (unsigned i = 0; i < 8; ++i) b[i] = static_cast<u8>(v >> (8 * i));
        const auto r = registers.write(number(name), std::span{b}.first(registers.all()[number(name)].bytes()), setter());
        return r ? "" : r.error().message;
    }
    GdbRegisters::Setter setter() {
        return [this](const Register& r, const RegisterValue& v, bool settles) { return change_register(*guest.cpu, r, v, settles); };
    }
    bool describes(const char* text) { return registers.description().find(text) != std::string::npos; }
};
}  // namespace

TEST_CASE("gdb registers: all names that GDB's architectures want, once each") {
    View v{Mode::protected32};
    std::string before;
    for (const char* name : {"rax", "r15", "rip", "eflags", "cs", "gs", "st0", "st7", "fctrl", "fop", "eax", "edi", "eip", "xmm0", "xmm15", "mxcsr", "fs_base", "gs_base",
                             "ip", "efer", "cr0", "cr8", "dr7", "lstar", "cs_base", "cs_limit", "cs_attr", "tr_base", "gdtr_limit", "icount", "code_bits"})
        v.number(name);
    for (unsigned n = 0; n < v.registers.all().size(); ++n)
        for (unsigned k = 0; k < n; ++k) CHECK(v.registers.all()[n].name != v.registers.all()[k].name);
    CHECK(v.registers.expedited().size() == 6);
}

TEST_CASE("gdb registers: the program counter is linear") {
    View real{Mode::real};
    CHECK(real.get("eip") == at::Code);
    CHECK(real.get("rip") == at::Code);
    CHECK(real.get("ip") == at::Code - real.guest.s().seg[CS].base);
    CHECK(real.set("eip", at::Code + 5) == "");
    CHECK(real.guest.rip() == at::Code + 5 - real.guest.s().seg[CS].base);
    CHECK(real.set("rip", 0xffff0000).find("outside of the code segment") != std::string::npos);
    CHECK(real.set("cs", 0xf000) == "");
    CHECK(real.get("cs_base") == 0xf0000);
    CHECK(real.set("ip", 0x1234) == "");
    CHECK(real.get("rip") == 0xf1234);
    CHECK(real.get("code_bits") == 16);
    CHECK(real.describes("<architecture>i8086<"));

    View lm{Mode::long64};
    CHECK(lm.set("rip", 0xffffffff81000000) == "");
    CHECK(lm.guest.rip() == 0xffffffff81000000);
    CHECK(lm.get("eip") == 0x81000000);
    CHECK(lm.get("code_bits") == 64);
    CHECK(lm.describes("<architecture>i386:x86-64<"));
    View p{Mode::protected32};
    CHECK(p.get("code_bits") == 32);
    CHECK(!p.describes("<architecture>"));
    CHECK(p.describes("<reg name=\"eip\" bitsize=\"32\" type=\"uint32\""));
}

TEST_CASE("gdb registers: written values arrive, impossible ones are refused and change nothing") {
    View v{Mode::long64};
    CHECK(v.set("rax", 0x1122334455667788) == "");
    CHECK(v.get("eax") == 0x55667788);
    CHECK(v.set("eax", 1) == "");
    CHECK(v.guest.rax == 0x1122334400000001);
    CHECK(v.set("eflags", eflags::CF | eflags::TF | 2) == "");
    CHECK((v.guest.flags() & (eflags::CF | eflags::TF)) == (eflags::CF | eflags::TF));
    CHECK(v.set("st0", 0x8000000000000000) == "");
    CHECK(v.set("cr0", 1ull << 40).find("cr0") != std::string::npos);
    CHECK(v.get("cr0") == v.guest.s().cr0);
    CHECK((v.guest.s().cr0 & cr0::PG) != 0);
    CHECK(v.set("efer", 0) != "");
    CHECK(v.get("code_bits") == 64);
    CHECK(v.set("icount", 5) != "");
    CHECK(v.set("cr3", at::Tables) == "");
    CHECK(v.set("dr7", 0x401) == "");
    CHECK(v.get("dr7") == 0x401);
    for (unsigned n = 0; n < v.registers.all().size(); ++n) {   // what is written back changes nothing
        u8 before[32]{}, after[32]{};
        const std::span<u8> b = std::span{before}.first(v.registers.all()[n].bytes()), a = std::span{after}.first(b.size());
        v.registers.read(n, b);
        CAPTURE(v.registers.all()[n].name);
        const bool fixed = v.registers.all()[n].name == "icount" || v.registers.all()[n].name == "code_bits";
        CHECK(v.registers.write(n, b, v.setter()).has_value() == !fixed);
        v.registers.read(n, a);
        CHECK(std::equal(a.begin(), a.end(), b.begin()));
    }
}

namespace {
/// A machine, the stub and a client.
struct Rig {
    MachineConfig config;
    std::unique_ptr<Machine> machine;
    std::unique_ptr<GdbMachine> target;
    std::unique_ptr<GdbStub> stub;
    bool quit = false;
    explicit Rig(const std::string& guest) {
        config.memory = 16 * kMiB, config.bios = std::string{GUESTS} + "/" + guest + ".bin", config.vga_bios = test::vga_rom(), config.jit = false;
        config.clock = ClockMode::fixed, config.debug_exit = true;
        auto m = Machine::create(config);
        if (!m) FAIL(m.error().message);
        machine = std::move(*m);
        target = std::make_unique<GdbMachine>(*machine, GdbMachine::Owner{[this] { quit = true; }, [](std::string_view line) { return std::string{line} + "?\r\n"; }}, true);
        stub = std::make_unique<GdbStub>(*target);
        ask("qSupported:swbreak+;hwbreak+");
        ask("QStartNoAckMode");
    }
    std::string ask(const std::string& payload) {
        u8 sum = 0;
        for (const char c : payload) sum = static_cast<u8>(sum + c);
        stub->receive("$" + payload + "#" + to_hex(std::string(1, static_cast<char>(sum))));
        return std::exchange(stub->output(), {});
    }
    /// Resumes and runs until the client hears of a stop.
    std::string go(const std::string& payload) {
        std::string said = ask(payload);
        for (int n = 0; n < 1000 && !target->standing(); ++n)
            if (machine->run(100'000) == Machine::Stop::debug) target->handle_stop(stub.get());
        return said + std::exchange(stub->output(), {});
    }
    std::string monitor(const std::string& line) {
        const std::string answer = ask(std::string{"qRcmd,"}.append(to_hex(line)));
        std::string text;
        if (answer.starts_with("$O")) from_hex(std::string_view{answer}.substr(2, answer.find('#') - 2), text);
        return text;
    }
    u64 pc() { return target->pc(0); }
};
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
}  // namespace

TEST_CASE("gdb machine: from the reset vector, with breakpoints, steps and events") {
    Rig r{"exit"};
    CHECK(r.pc() == 0xfffffff0);
    const u64 start = r.pc();
    CHECK(has(r.go("vCont;s"), "T05thread:1;"));
    CHECK(r.pc() != start);
    CHECK(has(r.monitor("stop port 0xe9"), "the machine stops at: port 0xe9\n"));
    const std::string stop = r.go("vCont;c");
    CHECK(has(stop, "T05"));
    CHECK(has(stop, to_hex("OUT of 0x68 to port 0xe9, 1 bytes\n").c_str()));
    char z[40];
    std::snprintf(z, sizeof z, "Z0,%llx,1", static_cast<unsigned long long>(r.pc()));
    CHECK(has(r.ask(z), "OK"));
    CHECK(r.monitor("clear") == "no events stop the machine\n");
    CHECK(has(r.go("vCont;c"), "swbreak:;"));   // the next letter
    CHECK(has(r.go("vCont;c"), "swbreak:;"));
    CHECK(r.target->write_memory(0, 0x800, std::span<const u8>{reinterpret_cast<const u8*>("abc"), 3}));
    CHECK(has(r.ask("m800,3"), "$616263#"));
    CHECK(has(r.ask("Mfffffff0,1:00"), "E14"));   // ROM
    CHECK(has(r.ask("D"), "OK"));
    CHECK(!r.target->standing());
    while (r.machine->run(1000) == Machine::Stop::slice) {}
    CHECK(r.machine->exit_value() == 0x21);
}

TEST_CASE("gdb machine: monitor commands") {
    Rig r{"ticks"};
    for (const char* command : {"help", "registers", "page 0x7c00", "page", "tlb", "tlb $pc", "tlb nonsense", "phys", "phys on", "phys off", "phys maybe", "stop", "stop exception",
                                "stop exception PF", "stop exception #GP", "stop exception 40", "stop nothing", "stop port 0x100-0x10", "stop port 0-70000", "stop port x", "stop msr 0x1b write",
                                "clear 1", "clear 99", "clear x", "clear", "interrupts", "interrupts 3", "interrupts x", "msr", "msr 0x1b", "msr 0x1b 0xfee00900", "msr 0x12345",
                                "msr 0x100000000", "memory", "devices", "", "?"}) {
        CAPTURE(command);
        const std::string answer = r.monitor(command);
        CHECK(!answer.empty());
        CHECK(answer.ends_with('\n'));
        CHECK(answer.find('\r') == std::string::npos);
    }
    CHECK(r.monitor("info something") == "info something?\n");
    CHECK(r.monitor("stop interrupt") == "the machine stops at: interrupt\n");
    const std::string stop = r.go("vCont;c");
    CHECK(has(stop, to_hex("interrupt 0x").c_str()));
    CHECK(has(r.monitor("interrupts 1"), "interrupt "));
    CHECK(has(r.monitor("msr 0x1b"), "fee00"));
    CHECK(has(r.monitor("memory"), "RAM"));
    r.ask("k");
    CHECK(r.quit);
}

TEST_CASE("gdb machine: a machine that cannot go on says so") {
    Rig r{"halt"};
    r.ask("vCont;c");
    while (r.machine->run(1'000'000) != Machine::Stop::halted) {}
    r.target->handle_hold(r.stub.get(), "it has halted");
    CHECK(has(std::exchange(r.stub->output(), {}), to_hex("it has halted\n").c_str()));
    CHECK(has(r.ask("vCont;c"), "E.it has halted"));
    r.target->end_hold();
    CHECK(!has(r.ask("vCont;c"), "E."));
}
