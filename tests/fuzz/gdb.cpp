// What a GDB client can send, to a stub in front of a real machine. A line of an input is a packet's payload, which gets its frame; a line that
// begins with ! goes as it is; an empty one lets the machine run.
#include <cstdlib>
#include <string>

#include "frontend/gdb/machine.h"
#include "frontend/gdb/stub.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/machine.h"

namespace calque::fuzz {
namespace {
std::vector<Bytes> seeds() {
    const auto monitor = [](const char* command) { return "qRcmd," + to_hex(command) + "\n"; };
    std::string commands;
    for (const char* c : {"help", "registers", "page 0x1000", "tlb", "interrupts", "msr", "memory", "devices", "xp /8xw 0x1000", "phys on", "phys off", "stop exception PF",
                          "stop port 0x20-0x3ff write", "stop cr 3", "stop msr", "clear", "stop"})
        commands += monitor(c);
    std::vector<Bytes> out;
    for (const std::string& text : {
             std::string{"qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+\nQStartNoAckMode\nqXfer:features:read:target.xml:0,ffb\nqXfer:memory-map:read::0,1000\n?\nHg0\nqC\n"
                         "qfThreadInfo\nqsThreadInfo\nqAttached\nT1\n"},
             std::string{"?\ng\np0\np10\np20\nP0=1122334455667788\nP11=0000000000000000\nm0,100\nmfffffff0,10\nM1000,4:deadbeef\nX1000,4:abcd\nx1000,10\nG00112233\n"},
             std::string{"Z0,f0000,1\nZ1,f0010,1\nZ2,1000,4\nZ3,1000,8\nZ4,1004,4\nvCont?\nvCont;c:1\n\n\ns\n\nvCont;s:1\n\nvCont;r1000,1010\n\nz0,f0000,1\nz2,1000,4\nc\n\n"},
             std::string{"Z0,f0016,1;X5,220027;X3,260027\nZ0,f0020,1;X8,2601002a2202002714\nc\n\n!\x03\nz0,f0016,1\n"},
             std::string{"QNonStop:1\nvCont;c\n\nvCtrlC\n!$vCont;t#aa\nvStopped\nqRcmd,68656c70\nbs\nbc\nD\nk\nvKill;1\nR00\n!+\n"},
             std::string{"!$g#67$m0,4#fd\n!$g#00\n!-\n!$}]#1a\n!$aaaaaaaa$g#67\n"}, commands})
        out.push_back(bytes_of(text));
    return out;
}

std::string framed(std::string_view payload) {
    u8 sum = 0;
    for (const char c : payload) sum = static_cast<u8>(sum + c);
    return "$" + std::string{payload} + "#" + to_hex(std::string(1, static_cast<char>(sum)));
}

bool run(std::span<const u8> in) {
    FuzzMachine fuzz;
    const auto m = fuzz.make("busy");
    bool over = false, answered = false;
    GdbMachine target{*m, {[&] { over = true; }, [](std::string_view) { return std::string{}; }}, true};
    GdbStub stub{target};
    const auto turn = [&] {
        for (unsigned n = 0; n < 5 && !target.standing() && !over; ++n) {
            const auto why = m->run(500);
            if (why == Machine::Stop::debug) target.handle_stop(&stub);
            else if (why != Machine::Stop::slice && why != Machine::Stop::idle) return target.handle_hold(&stub, "it has ended");
        }
    };
    std::string_view left{reinterpret_cast<const char*>(in.data()), in.size()};
    for (unsigned lines = 0; !left.empty() && lines < 200 && !stub.finished() && !over; ++lines) {
        const size_t end = std::min(left.find('\n'), left.size());
        const std::string_view line = left.substr(0, end);
        left.remove_prefix(std::min(end + 1, left.size()));
        if (line.empty()) turn();
        else stub.receive(line[0] == '!' ? std::string{line.substr(1)} : framed(line));
        answered |= stub.output().find('#') != std::string::npos;
        stub.output().clear();
    }
    return answered;
}
}  // namespace

const Target target{"gdb", seeds, run};
}  // namespace calque::fuzz
