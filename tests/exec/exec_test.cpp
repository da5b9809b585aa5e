// Reading cases and running them.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "frontend/exec/parse.h"
#include "frontend/exec/report.h"
#include "frontend/exec/write.h"

using namespace calque;
using namespace calque::exec;
using Json = nlohmann::json;

namespace {

std::vector<Engine> engines() { return jit::Engine::has_jit() ? std::vector{Engine::interp, Engine::jit} : std::vector{Engine::interp}; }

/// What is wrong with a case; "" when nothing is.
std::string why(const std::string& text) {
    Case c;
    if (const auto wrong = parse_case(text, c)) return wrong->message;
    CaseRunner runner{engines()};
    const auto v = runner.run(c);
    return v ? "" : v.error().message;
}

struct Run {
    explicit Run(const std::string& text, std::vector<Engine> on = engines()) : runner{std::move(on)} {
        const auto wrong = parse_case(text, c);
        if (wrong) FAIL(wrong->message);
        auto v = runner.run(c);
        if (!v) FAIL(v.error().message);
        verdict = std::move(*v);
        report = Json::parse(json_report(c, verdict, runner.rig()));
    }
    Case c;
    CaseRunner runner;
    Verdict verdict;
    Json report;
};
}  // namespace

TEST_CASE("exec: a malformed case is refused with its field") {
    const struct { const char *text, *field; } rows[] = {
        {"{}", "mode: "},
        {R"({"mode": "long128"})", "mode: 'long128'"},
        {R"({"mode": 64})", "mode: "},
        {R"({"mode": "long64", "warm": ["0x0"]})", "warm: "},
        {R"({"mode": "long64", "warm": {"stack": []}})", "warm.stack: "},
        {R"({"mode": "long64", "warm": {"code": "0x0"}})", "warm.code: "},
        {R"({"mode": "long64", "warm": {"code": ["0x0", true]}})", "warm.code[1]: "},
        {R"({"mode": "long64", "warm": {"data": ["0x0", "0x1000000"]}})", "warm.data[1]: there is nothing"},
        {R"({"mode": "long64", "warm": {"code": ["0x1000000"]}})", "warm.code[0]: there is nothing"},
        {R"({"mode": "long64", "warm": {"cr3": 1}})", "warm.cr3: "},
        {R"({"mode": "long64", "warm": {"stores": [["0x10", "9"]]}})", "warm.stores[0][1]: "},
        {R"({"mode": "long64", "warm": {"stores": [["0xfff", "9090"]]}})", "warm.stores[0]: there is nothing"},
        {R"({"mode": "long64", "warm": {"stores": [["0x1000000", "90"]]}})", "warm.stores[0]: there is nothing"},
        {R"({"mode": "long64", "warm": {"code": ["0xfff"]}, "initial": {"mem": [["0xfff", "0fa2"]]}})", "warm.code[0]: there is nothing"},   // it crosses
        {R"({"mode": "long64", "final": 1})", "final: "},
        {R"({"mode": "long64", "finale": {}})", "finale: "},
        {R"({"mode": "long64", "name": 1})", "name: "},
        {R"({"mode": "long64", "cpu": "8080"})", "cpu: "},
        {R"({"mode": "long64", "cpu": "486"})", "mode "},
        {R"({"mode": "long64", "cpl": 4})", "cpl: "},
        {R"({"mode": "real16", "cpl": 3})", "initial.regs: "},
        {R"({"mode": "vm86", "cpl": 0})", "initial.regs: "},
        {R"({"mode": "long64", "steps": -1})", "steps: "},
        {R"({"mode": "long64", "steps": 1.5})", "steps: "},
        {R"({"mode": "long64", "steps": 1000000000000})", "steps: 1000000000000 is more than"},
        {R"({"mode": "long64", "steps": 100000000000000000000000})", "steps: "},
        {R"({"mode": "long64", "initial": []})", "initial: "},
        {R"({"mode": "long64", "initial": {"reg": {}}})", "initial.reg: "},
        {R"({"mode": "long64", "initial": {"regs": {"zax": "0x0"}}})", "initial.regs.zax: "},
        {R"({"mode": "long64", "initial": {"regs": {"rax": ""}}})", "initial.regs.rax: "},
        {R"({"mode": "long64", "initial": {"regs": {"rax": "0x"}}})", "initial.regs.rax: "},
        {R"({"mode": "long64", "initial": {"regs": {"rax": "0x12g"}}})", "initial.regs.rax: "},
        {R"({"mode": "long64", "initial": {"regs": {"rax": null}}})", "initial.regs.rax: "},
        {R"({"mode": "long64", "initial": {"regs": {"al": "0x100"}}})", "initial.regs.al: "},
        {R"({"mode": "long64", "initial": {"regs": {"st0": "0x100000000000000000000"}}})", "initial.regs.st0: "},
        {R"({"mode": "long64", "initial": {"regs": {"rax": {"sel": "0x8"}}}})", "initial.regs.rax: "},
        {R"({"mode": "long64", "initial": {"regs": {"gdtr": "0x8"}}})", "initial.regs.gdtr: "},
        {R"({"mode": "long64", "initial": {"regs": {"gdtr": {"sel": "0x8"}}}})", "initial.regs.gdtr.sel: "},
        {R"({"mode": "long64", "initial": {"regs": {"ds": {"dpl": "0x8"}}}})", "initial.regs.ds.dpl: "},
        {R"({"mode": "long64", "initial": {"regs": {"ds": {"attr": "0x93"}}}})", "initial.regs: attr"},
        {R"({"mode": "long64", "initial": {"regs": {"cr0": "0x11"}}})", "initial.regs: "},
        {R"({"mode": "real16", "initial": {"regs": {"cr0": "0x11"}}})", "initial.regs: with them the processor is not in mode real16"},
        {R"({"mode": "protected32", "initial": {"regs": {"cs": {"attr": "0x9b00"}}}})", "initial.regs: with them"},
        {R"({"mode": "protected32", "initial": {"regs": {"rflags": "0x20002"}}})", "initial.regs: "},
        {R"({"mode": "long64", "initial": {"mem": {}}})", "initial.mem: "},
        {R"({"mode": "long64", "initial": {"mem": [["0x0", "90"], ["0x0"]]}})", "initial.mem[1]: "},
        {R"({"mode": "long64", "initial": {"mem": [["0x0", "9"]]}})", "initial.mem[0][1]: "},
        {R"({"mode": "long64", "initial": {"mem": [["0x0", "9x"]]}})", "initial.mem[0][1]: "},
        {R"({"mode": "long64", "initial": {"mem": [["0x0", 90]]}})", "initial.mem[0][1]: "},
        {R"({"mode": "long64", "initial": {"mem": [["x", "90"]]}})", "initial.mem[0][0]: "},
        {R"({"mode": "long64", "initial": {"mem": [["0x1000000", "90"]]}})", "initial.mem[0]: "},
        {R"({"mode": "long64", "initial": {"mem": [["0xffffff", "9090"]]}})", "initial.mem[0]: "},
        {R"({"mode": "long64", "initial": {"mem": [["0xffffffffffffffff", "9090"]]}})", "initial.mem[0]: "},
        {R"({"mode": "real16", "initial": {"mem": [["0x100000010", "90"]]}})", "initial.mem[0]: "},
        {R"({"mode": "long64", "final": {"mem": [["0x1000000", "90"]]}})", "final.mem[0]: "},
        {R"({"mode": "long64", "initial": {"mem": [["0x0", "90"]], "phys": [["0x0", "90"], ["0x1000000", "90"]]}})", "initial.phys[1]: "},
        {R"({"mode": "long64", "ram": 32, "initial": {"phys": [["0x2000000", "90"]]}})", "initial.phys[0]: "},
        {R"({"mode": "long64", "final": {"phys": [["0x1000000", "90"]]}})", "final.phys[0]: "},
        {R"({"mode": "long64", "ram": 8})", "ram: "},
        {R"({"mode": "long64", "ram": 4097})", "ram: "},
        {R"({"mode": "long64", "ram": "16"})", "ram: "},
        {R"({"mode": "long64", "exception": {}})", "exception.vector: "},
        {R"({"mode": "long64", "exception": {"vector": 256}})", "exception.vector: "},
        {R"({"mode": "long64", "exception": {"vector": 1, "code": 1}})", "exception.code: "},
        {R"({"mode": "long64", "undefined": {"flgs": "0x1"}})", "undefined.flgs: "},
        {R"({"mode": "long64",})", "this is no JSON, at column 19"},
        {"{\"mode\": \"long64\", \"name\": \"\xff\"}", "this is no JSON"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.text);
        const std::string is = why(r.text);
        CAPTURE(is);
        CHECK(is.starts_with(r.field));
        CHECK(is.find('\n') == std::string::npos);
    }
    Case c;
    const auto wrong = parse_case("{\"mode\":\n\"long64\",\n\"steps\" 5}", c);
    REQUIRE(wrong);
    CHECK(wrong->line == 2);
}

TEST_CASE("exec: a printed state is a state to start from and to expect, in every mode") {
    for (const char* mode : kModeNames)
        for (const char* cpu : {"max", "default", "486"}) {
            if (std::string_view{cpu} == "486" && (std::string_view{mode} == "long64" || std::string_view{mode} == "compat32")) continue;
            CAPTURE(mode);
            CAPTURE(cpu);
            Run first{std::string{R"({"steps": 3, "mode": ")"} + mode + R"(", "cpu": ")" + cpu +
                      R"(", "initial": {"regs": {"rsp": "0x8000", "rax": "0x12345678", "st3": "0x3fff8000000000000000"}, "mem": [["0x0", "90f890"]]}})"};
            CHECK(first.report["instructions"] == 3);
            CHECK(first.report["end"] == "steps");
            const Json state = first.report["final"];
            CHECK(state["regs"]["rip"] == "0x3");
            CHECK(state["regs"].size() > 40);
            const Json again = {{"mode", mode}, {"cpu", cpu}, {"steps", 0}, {"cpl", state["regs"]["cpl"]}, {"initial", state}, {"final", state}};
            const Run second{again.dump()};
            INFO(second.report["differences"].dump());
            CHECK(second.verdict.pass());
            CHECK(second.report["final"]["regs"] == state["regs"]);
        }
}

// Page tables that map linear page 0 to physical page 5, far up: what "phys" says is not translated.
TEST_CASE("exec: physical memory, and more of it") {
    const char* text = R"({"mode": "protected32", "ram": 4096, "steps": 2,
        "initial": {"regs": {"cr0": "0x80000011", "cr3": "0xf0000000", "rip": "0x10"},
                    "phys": [["0xf0005010", "b301881d34000000"], ["0xf0001000", "275000f0"], ["0xf0000000", "271000f0"]]},
        "final": {"regs": {"bl": "0x1"}, "phys": [["0xf0005034", "01"], ["0xf0001000", "675000f0"]], "mem": [["0x34", "01"]]}})";
    Run small{R"({"mode": "long64", "initial": {"mem": [["0x0", "90"]]}, "final": {"regs": {"rip": "0x1"}}})"};
    const Run run{text};
    INFO(run.report["differences"].dump());
    CHECK(run.verdict.pass());
    // A rig goes from one size to another and back.
    for (const Case& c : {small.c, run.c, small.c, run.c}) {
        const auto v = small.runner.run(c);
        REQUIRE(v);
        CHECK(v->pass());
    }
    Case again;
    REQUIRE_FALSE(parse_case(case_json(run.c), again));
    CHECK(case_json(again) == case_json(run.c));
    CHECK(again.ram == 4 * kGiB);
}

// The mapping of 0x5000 is changed and not voided.
TEST_CASE("exec: what the TLBs hold when it begins") {
    const std::string begin = R"({"mode": "protected32", "steps": 2, "initial": {"regs": {"cr0": "0x80000011", "cr3": "0x1000", "ebx": "0x2014", "ecx": "0x7067"},
        "mem": [["0x1000", "67200000"], ["0x2000", "6700000067100000672000006730000067400000676000006770000067700000"]],
        "phys": [["0x0", "890b8a0500500000"], ["0x6000", "66"], ["0x7000", "77"]]}, )";
    const struct { const char *warm, *al; } rows[] = {
        {R"({})", "0x77"},
        {R"({"data": ["0x5123"]})", "0x66"},
        {R"({"data": ["0x5123"], "invlpg": ["0x5fff"]})", "0x77"},
        {R"({"data": ["0x5123"], "invlpg": ["0x6000"]})", "0x66"},
        {R"({"data": ["0x5123"], "cr3": true})", "0x77"},
        {R"({"data": ["0x5123"], "cr3": false})", "0x66"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.warm);
        const Run run{begin + R"("warm": )" + r.warm + R"(, "final": {"regs": {"al": ")" + r.al + R"("}}})"};
        INFO(run.report["differences"].dump());
        CHECK(run.verdict.pass());
    }
}

TEST_CASE("exec: what has been translated when it begins, and is stored to then") {
    Case c;
    REQUIRE_FALSE(parse_case(R"({"mode": "long64", "steps": 2, "initial": {"regs": {"rip": "0x1232"}, "mem": [["0x1230", "909090b001ebfe"]]},
        "warm": {"code": ["0x1230", "0x1233"], "stores": [["0x1234", "02"]]}, "final": {"regs": {"al": "0x2"}}})", c));
    for (const Engine e : engines()) {
        CaseRunner runner{{e}};
        for (const Case& each : {c, Case{c}, c}) {
            const auto v = runner.run(each);
            REQUIRE(v);
            CHECK(v->pass());
            CHECK(runner.rig().cpu().engine().outdated().empty());
        }
        const jit::EngineStats& stats = runner.rig().cpu().engine().stats();
        CHECK(stats.invalidations >= 6);
        if (e == Engine::jit) CHECK(stats.blocks_translated >= 6);
    }
}

TEST_CASE("exec: every name of a register is read, written and compared") {
    for (const Register& r : registers()) {
        CAPTURE(r.name);
        // What these hold decides whether the case is possible, or they have fixed bits.
        static const std::string_view special[] = {"cr0", "cr4", "efer", "xcr0", "cpl", "rflags", "eflags", "flags", "fcw", "fsw", "ftw", "dr6", "dr7", "dr4", "dr5"};
        if (std::find(std::begin(special), std::end(special), r.name) != std::end(special) || r.name.find(".attr") != std::string::npos) continue;
        const std::string value = r.bits >= 16 ? "0x5000" : r.bits >= 8 ? "0x50" : "0x5";
        const Json c = {{"mode", "long64"}, {"cpu", "max"}, {"steps", 0}, {"initial", {{"regs", {{r.name, value}}}}}, {"final", {{"regs", {{r.name, value}}}}}};
        CHECK(Run{c.dump()}.verdict.pass());
        Json wrong = c;
        wrong["final"]["regs"][r.name] = "0x3";
        const Run other{wrong.dump()};
        CHECK(!other.verdict.pass());
        CHECK(other.report["differences"][0]["what"] == r.name);
        wrong["undefined"] = {{r.name, value == "0x5" ? "0x6" : value == "0x50" ? "0x53" : "0x5003"}};
        CHECK(Run{wrong.dump()}.verdict.pass());
    }
}

TEST_CASE("exec: a case that is written is read back") {
    for (const char* text : {R"({"mode":"long64","initial":{"regs":{}}})",
                             R"({"name":"a \"b\"","mode":"protected32","cpu":"486","cpl":3,"steps":7,"initial":{"regs":{"rax":"0x1","ds.base":"0x10"},"mem":[["0x10","90f4"]]},)"
                             R"("final":{"regs":{"st0":"0x3fff8000000000000000"},"mem":[["0x0","00"]]},"exception":{"vector":14,"error":"0x2","cr2":"0x123"},"undefined":{"rflags":"0x10"}})",
                             R"({"mode":"long64","initial":{"regs":{}},"warm":{"data":["0xffffffff81000000"],"code":["0x10","0x20"],"stores":[["0x11","90"]],"invlpg":["0x5000"],"cr3":true}})",
                             R"({"mode":"long64","initial":{"regs":{}},"warm":{"data":["0x10"]},"final":{"regs":{}}})",
                             R"({"mode":"vm86","initial":{"regs":{"rip":"0x10"}},"final":{"regs":{}},"exception":{"vector":13}})"}) {
        Case c;
        REQUIRE(!parse_case(text, c));
        CHECK(case_json(c) == text);
    }
}

TEST_CASE("exec: bits that are undefined by another name of the register") {
    const Run r{R"({"mode": "long64", "initial": {"regs": {"rflags": "0x3"}, "mem": [["0x0", "90"]]}, "final": {"regs": {"flags": "0x2"}}, "undefined": {"rflags": "0x1"}})"};
    CHECK(r.verdict.pass());
    const Run ah{R"({"mode": "long64", "steps": 0, "initial": {"regs": {"rax": "0x1200"}}, "final": {"regs": {"ah": "0x52"}}, "undefined": {"rax": "0x4000"}})"};
    CHECK(ah.verdict.pass());
}

TEST_CASE("exec: what differs is named, on each engine") {
    const Run r{R"({"name": "n \"1\"", "mode": "long64", "initial": {"mem": [["0x0", "ffc0"]]},
                   "final": {"regs": {"rax": "0x2", "cs": {"sel": "0x9", "limit": "0xffffffff"}}, "mem": [["0x10", "01"]]}, "exception": {"vector": 6}})"};
    CHECK(r.report["name"] == "n \"1\"");
    CHECK(r.report["pass"] == false);
    Json expected = Json::array();
    for (const char* engine : {"interp", "jit"})
        for (const auto& [what, wanted, actual] : {std::tuple{"exception", "vector 6", "none"}, {"rax", "0x2", "0x1"}, {"cs", "0x9", "0x8"}, {"mem 0x10", "01", "00"}})
            if (engine != std::string{"jit"} || jit::Engine::has_jit())
                expected.push_back({{"engine", engine}, {"what", what}, {"expected", wanted}, {"actual", actual}});
    CHECK(r.report["differences"] == expected);
}

TEST_CASE("exec: exceptions") {
    const Run other{R"({"mode": "long64", "initial": {"mem": [["0x0", "0f0b"]]}, "exception": {"vector": 13}})"};
    CHECK(!other.verdict.pass());
    CHECK(other.report["end"] == "shutdown");
    CHECK(other.report["exception"]["vector"] == 6);   // not the #GP for the gate that is not there
    const Run code{R"({"mode": "long64", "initial": {"mem": [["0x0", "0f0b"]]}, "exception": {"vector": 6, "error": "0x0"}})"};
    CHECK(code.report["differences"][0]["what"] == "exception.error");
    CHECK(code.report["differences"][0]["actual"] == "none");
    const Run cr2{R"({"mode": "long64", "initial": {"mem": [["0x0", "a10000000000800000"]]}, "exception": {"vector": 13, "cr2": "0x0"}})"};
    CHECK(cr2.report["differences"][0]["what"] == "exception.cr2");
    const Run silent{R"({"mode": "long64", "initial": {"mem": [["0x0", "0f0b"]]}, "final": {}})"};
    CHECK(silent.report["differences"][0]["what"] == "end");
}

TEST_CASE("exec: a case leaves nothing behind for the next") {
    CaseRunner runner{engines()};
    const auto run = [&](const std::string& text) {
        Case c;
        REQUIRE(!parse_case(text, c));
        const auto v = runner.run(c);
        REQUIRE(v);
        return Json::parse(json_report(c, *v, runner.rig()));
    };
    const std::string plain = R"({"mode": "long64", "steps": 3, "initial": {"regs": {"rbx": "0x2000", "rcx": "0x1b"}, "mem": [["0x1000", "8b03"], ["0x0", "909090"]]}})";
    const Json fresh = run(plain);
    for (const char* dirty : {
             R"({"mode": "long64", "steps": 3, "initial": {"regs": {"rbx": "0x2000", "rax": "0x77"}, "mem": [["0x0", "8803880425f00ff000ff"]]}})",   // data, and our page tables
             R"({"mode": "real16", "steps": 50, "initial": {"regs": {"cs": "0xf000", "ss": "0x9000", "sp": "0x10"}, "mem": [["0xf0000", "50ebfd"]]}})",
             R"({"mode": "long64", "steps": 3, "initial": {"regs": {"rcx": "0x1b", "rax": "0xfee00c00"}, "mem": [["0x0", "0f30909090"]]}})",           // x2APIC on
             R"({"mode": "long64", "steps": 2, "initial": {"regs": {"cr8": "0x5", "dr7": "0x401", "mxcsr": "0x0", "rflags": "0x102"}, "mem": [["0x0", "0fc7f0f4"]]}})",
             R"({"mode": "protected32", "steps": 20, "initial": {"regs": {"eax": "0x80", "ebx": "0xfee000f0", "ecx": "0x1ff"}, "mem": [["0x0", "890bfbf4"]]}})"}) {
        run(dirty);
        CHECK(run(plain) == fresh);
    }
}

TEST_CASE("exec: what never ends is given up") {
    const Run r{R"({"mode": "protected32", "initial": {"regs": {"ecx": "0xffffffff", "edi": "0x10000000"}, "mem": [["0x0", "f3ab"]]}, "final": {}})", {Engine::interp}};
    CHECK(r.report["end"] == "endless");
    CHECK(r.report["instructions"] == 0);
    CHECK(!r.verdict.pass());
    const Run halts{R"({"mode": "long64", "steps": 100000000, "initial": {"mem": [["0x0", "f4"]]}, "final": {"regs": {"rip": "0x1"}}})"};
    CHECK(halts.verdict.pass());
    CHECK(halts.report["end"] == "halted");
}

TEST_CASE("exec: the trace shows each instruction before it runs") {
    Case c;
    REQUIRE(!parse_case(R"({"mode": "protected32", "steps": 3, "initial": {"regs": {"eip": "0x1000"}, "mem": [["0x1000", "0530000000ebf9"]]}})", c));
    for (const Engine e : engines()) {
        CaseRunner runner{{e}};
        std::vector<std::string> lines;
        REQUIRE(runner.run(c, [&](const std::string& line) { lines.push_back(line); }));
        REQUIRE(lines.size() == 3);
        CHECK(lines[0] == "0008:00001000  05 30 00 00 00                       add eax, 0x30");
        CHECK(lines[1] == "0008:00001005  eb f9                                jmp 0x00001000");
        CHECK(lines[2] == lines[0]);
    }
}
