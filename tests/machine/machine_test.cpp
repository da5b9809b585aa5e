#include <fstream>

#include "tests/machine/rig.h"

TEST_CASE("machine: the guest speaks and ends the run with a value") {
    for (const bool jit : {false, true}) {
        Rig r{"exit", jit};
        CHECK(r.run() == Machine::Stop::debug_exit);
        CHECK(r.machine->exit_value() == 0x21);
        CHECK(r.console.text == "hello");
        CHECK(r.machine->run(1000) == Machine::Stop::debug_exit);  // it stays stopped
    }
}

TEST_CASE("machine: HLT with interrupts off is the end, a triple fault is one if resets are") {
    Rig halt{"halt"};
    CHECK(halt.run() == Machine::Stop::halted);
    Rig triple{"triple", false, false};
    CHECK(triple.run() == Machine::Stop::triple_fault);
    CHECK(triple.machine->triple_faults() == 1);
    Rig again{"triple"};
    CHECK(again.run(1000) == Machine::Stop::slice);
    CHECK(again.machine->triple_faults() > 10);
    CHECK(again.machine->resets() == again.machine->triple_faults());
}

TEST_CASE("machine: reset keeps RAM, power off stops") {
    Rig r{"reboot"};
    CHECK(r.run() == Machine::Stop::debug_exit);
    CHECK(r.machine->resets() == 2);
    Rig once{"reboot", false, false};
    CHECK(once.run() == Machine::Stop::reset);
    Rig off{"off"};
    CHECK(off.run() == Machine::Stop::powered_off);
}

TEST_CASE("machine: a run stops at exactly the instruction asked for, and repeats to the bit on both executors") {
    std::vector<u64> hashes;
    for (const bool jit : {false, true})
        for (const u64 slice : {u64{777}, u64{100'000}}) {
            Rig r{"busy", jit};
            r.machine->set_stop_at(123'457);
            while (r.machine->run(slice) == Machine::Stop::slice) {}
            CHECK(r.machine->icount() == 123'457);
            CHECK(r.machine->time() == 123'457);
            hashes.push_back(r.machine->state_hash());
        }
    for (const u64 h : hashes) CHECK(h == hashes[0]);
    Rig r{"busy"};
    r.machine->set_stop_at(123'458);
    r.run();
    CHECK(r.machine->state_hash() != hashes[0]);
}

TEST_CASE("machine: the fixed clock skips idle time and keeps every tick") {
    std::vector<u64> hashes;
    for (const bool jit : {false, true}) {
        Rig r{"ticks", jit};
        while (r.machine->time() < kSecond) REQUIRE(r.machine->run(5000) == Machine::Stop::slice);
        CHECK(r.machine->icount() < 100'000);
        const u64 due = r.machine->time() / 999'850;  // 1193 ticks of 1.193182 MHz
        CHECK(r.ram(0x500) + 1 >= due);
        CHECK(r.ram(0x500) <= due + 2);
        r.machine->set_stop_at(20'000);
        while (r.machine->run(5000) != Machine::Stop::stop_at) {}
        hashes.push_back(r.machine->state_hash());
    }
    CHECK(hashes[0] == hashes[1]);
}

TEST_CASE("machine: the host's clock makes it wait, and late ticks come late but all") {
    Rig r{"ticks", false, true, ClockMode::host};
    Machine::Stop s = Machine::Stop::slice;
    for (int i = 0; i < 100 && s == Machine::Stop::slice; ++i) s = r.machine->run(1000);
    CHECK(s == Machine::Stop::idle);
    CHECK(r.machine->sleep_time() > 0);
    CHECK(r.machine->sleep_time() <= kSecond / 1000);
    const u32 before = r.ram(0x500);
    r.host_time += kSecond / 10;  // the host was busy with something else
    for (int i = 0; i < 10'000 && r.machine->time() + kSecond / 1000 < r.host_time; ++i) r.machine->run(1000);
    CHECK(r.ram(0x500) - before >= 98);
    CHECK(r.ram(0x500) - before <= 101);
    for (int i = 0; i < 200; ++i) r.machine->run(1000);
    CHECK(r.machine->time() <= r.host_time + kSecond / 500);
}

TEST_CASE("machine: characters pass the gate with their instruction count and come back") {
    Rig r{"echo"};
    std::vector<u64> stamps;
    r.machine->gate().listen(&stamps, [&](const GateEvent& e) { stamps.push_back(e.icount); });
    r.run(5000);
    CHECK(r.machine->serial_room(0) == 1);
    CHECK(r.machine->serial_room(1) == 0);
    for (const char c : std::string{"HAL"}) {
        const u64 now = r.machine->icount();
        r.machine->serial_input(0, static_cast<u8>(c));
        CHECK(stamps.back() == now);
        r.machine->run(20'000);
    }
    CHECK(r.serial.text == "IBM");
}

TEST_CASE("machine: whatever is wrong with the configuration is said before anything runs") {
    const auto why = [](auto change) {
        MachineConfig c;
        change(c);
        const auto m = Machine::create(c);
        REQUIRE_FALSE(m.has_value());
        return m.error().message;
    };
    const auto says = [](const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; };
    CHECK(says(why([](auto& c) { c.memory = 0; }), "--memory"));
    CHECK(says(why([](auto& c) { c.memory = u64{1} << 50; }), "this host has"));
    CHECK(says(why([](auto& c) { c.bios = "/nowhere/rom"; }), "/nowhere/rom"));
    const auto good = [](auto& c) { c.bios = GUESTS "/exit.bin", c.vga_bios = test::vga_rom(); };
    CHECK(says(why([&](auto& c) { good(c), c.cpu_model = "8008"; }), "8008"));
    CHECK(says(why([&](auto& c) { good(c), c.disks = {{"/nowhere/disk", false, false}}; }), "/nowhere/disk"));
    CHECK(says(why([&](auto& c) { good(c), c.kernel = "/nowhere/kernel"; }), "/nowhere/kernel"));
    CHECK(says(why([&](auto& c) { good(c), c.cmdline = "quiet"; }), "--kernel"));
    CHECK(says(why([&](auto& c) { good(c), c.boot_order = "cn"; }), "--boot"));
    CHECK(says(why([&](auto& c) { good(c), c.jit_disable = {"gravity"}; }), "gravity"));
    CHECK(says(why([&](auto& c) { good(c), c.cdroms.resize(5); }), "only 4 fit"));
}
