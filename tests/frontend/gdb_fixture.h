// A target made of wishes: 64 KiB of memory, three registers, and steps of one byte.
#pragma once
#include <doctest/doctest.h>

#include <cstring>

#include "frontend/gdb/stub.h"

namespace calque {

struct FakeGdbTarget : GdbTarget {
    std::vector<GdbRegister> table{{"rax", 64}, {"pc", 64}, {"cs", 16}};
    std::vector<u64> values{0x1122334455667788, 0x1000, 8};
    std::vector<u8> ram = std::vector<u8>(0x10000);
    std::vector<GdbPoint> points;
    std::string log;
    bool moving = true, reverse = false;
    GdbMotion motion;
    std::vector<unsigned> told{1};
    GdbStub* stub = nullptr;

    unsigned cpus() const override { return 2; }
    std::string cpu_state(unsigned n) override { return n ? "halted" : "running"; }
    std::span<const GdbRegister> registers() const override { return table; }
    std::string description() const override { return "<target>#$}*</target>"; }
    void read_register(unsigned, unsigned n, std::span<u8> out) override { std::memcpy(out.data(), &values.at(n), out.size()); }
    Result<void> write_register(unsigned, unsigned n, std::span<const u8> in) override {
        if (n == 2) return Error{"cs is fixed"};
        std::memcpy(&values.at(n), in.data(), in.size());
        return {};
    }
    u64 pc(unsigned) override { return values[1]; }
    std::span<const unsigned> expedited() const override { return told; }
    size_t read_memory(unsigned, u64 a, std::span<u8> out) override {
        if (a >= ram.size()) return 0;
        const size_t n = std::min<size_t>(out.size(), ram.size() - a);
        std::memcpy(out.data(), ram.data() + a, n);
        return n;
    }
    bool write_memory(unsigned, u64 a, std::span<const u8> in) override {
        if (a >= ram.size() || in.size() > ram.size() - a) return false;
        std::memcpy(ram.data() + a, in.data(), in.size());
        return true;
    }
    std::string memory_map() override { return "<memory-map/>"; }
    void set_points(const std::vector<GdbPoint>& p) override { points = p; }
    Result<void> resume(const GdbMotion& m) override {
        motion = m, moving = true;
        log += "resume ";
        return {};
    }
    bool halt() override {
        moving = false;
        return true;
    }
    bool can_reverse() const override { return reverse; }
    void kill() override { log += "kill "; }
    void release() override { points.clear(), log += "release "; }
    std::string monitor(std::string_view line) override { return line == "silence" ? "" : "you said " + std::string{line} + "\n"; }
};

/// A client of the stub, without a connection.
struct GdbClient {
    FakeGdbTarget target;
    GdbStub stub{target};
    static std::string frame(const std::string& payload) {
        u8 sum = 0;
        for (const char c : payload) sum = static_cast<u8>(sum + c);
        return "$" + payload + "#" + to_hex(std::string(1, static_cast<char>(sum)));
    }
    /// Sends raw bytes; what comes back, raw.
    std::string raw(const std::string& bytes) {
        stub.receive(bytes);
        return std::exchange(stub.output(), {});
    }
    /// The payload of the answer to a packet.
    std::string ask(const std::string& payload) {
        std::string answer = raw(frame(payload));
        if (answer.starts_with('+')) answer.erase(0, 1);
        return unframed(answer);
    }
    static std::string unframed(const std::string& answer) {
        const size_t end = answer.find('#');
        return answer.size() > 3 && end != std::string::npos ? answer.substr(1, end - 1) : answer;
    }
    /// The target stops by itself; what the client hears.
    std::string stopped(const GdbStop& s) {
        target.moving = false;
        stub.stopped(s);
        return std::exchange(stub.output(), {});
    }
};
}  // namespace calque
