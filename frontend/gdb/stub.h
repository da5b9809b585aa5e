// GDB's remote serial protocol over some connection: what the packets mean. One client, one target.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/gdb/agent.h"
#include "frontend/gdb/packets.h"
#include "frontend/gdb/target.h"

namespace calque {

class GdbStub final : private AgentWorld {
public:
    /// The target stands still from now on, until the client resumes it.
    explicit GdbStub(GdbTarget&);
    ~GdbStub() override;   // leaves no breakpoints behind

    void receive(std::string_view bytes) { packets_.feed(bytes); }
    std::string& output() { return packets_.output; }
    /// The motion has ended by itself.
    void stopped(const GdbStop&);
    /// The client has said good-bye: the connection is over when `output` is sent.
    bool finished() const { return finished_; }
    /// The target moves: asked for and not stopped yet.
    bool moving() const { return moving_; }

private:
    class Text;
    struct Command {
        const char* prefix;
        void (GdbStub::*run)(Text&);
    };
    static const Command kCommands[];
    void packet(const std::string& payload);
    void interrupt();
    void reply(std::string_view text) { packets_.send(text); }
    void ok() { reply("OK"); }
    void error(const std::string& why) { reply("E." + why); }
    void wrong() { error("malformed packet"); }

    // ---- stub.cpp: motion
    std::string stop_text(const GdbStop&);
    void report(const GdbStop&);
    void move(const GdbMotion&);
    bool conditions_hold();
    void why(Text&);
    void move_back(GdbMotion::Kind);
    void go(Text&);
    void step(Text&);
    void go_with_signal(Text&);
    void step_with_signal(Text&);
    void go_back(Text&);
    void step_back(Text&);
    void vcont(Text&);
    void vcont_query(Text&);
    void ctrl_c(Text&);
    void notified(Text&);
    void detach(Text&);
    void kill(Text&);
    void extended(Text&);

    // ---- registers and memory
    std::string register_hex(unsigned n);
    bool put_register(unsigned n, std::string_view bytes);
    void read_registers(Text&);
    void write_registers(Text&);
    void read_register(Text&);
    void write_register(Text&);
    bool range(Text&, u64& address, u64& length);
    void read_memory(Text&);
    void read_memory_binary(Text&);
    void write_memory(Text&);
    void write_memory_binary(Text&);
    void store(u64 address, std::string_view bytes);

    // ---- points
    bool point(Text&, GdbPoint&);
    void insert(Text&);
    void remove(Text&);
    void points_changed();

    // ---- queries (queries.cpp)
    void supported(Text&);
    void no_ack(Text&);
    void non_stop(Text&);
    void transfer(Text&);
    void attached(Text&);
    void current_thread(Text&);
    void first_threads(Text&);
    void no_more_threads(Text&);
    void thread_info(Text&);
    void thread_alive(Text&);
    void choose_thread(Text&);
    void monitor(Text&);
    std::string threads();
    unsigned cpu_of(Text&, bool& known);

    // ---- AgentWorld
    std::optional<u64> agent_register(unsigned number) override;
    bool agent_read(u64 address, std::span<u8> out) override;

    GdbTarget& target_;
    GdbPackets packets_;
    using Condition = std::string;                        // bytecode
    std::map<GdbPoint, std::vector<Condition>> points_;   // without conditions, always
    GdbMotion motion_;
    std::optional<GdbStop> last_;                         // nothing: moving
    bool moving_ = false, finished_ = false, non_stop_ = false;
    bool tells_breakpoints_ = false;                      // the client knows swbreak and hwbreak
    unsigned cpu_ = 0;                                    // whose registers are meant
    std::string object_, object_name_;                    // what qXfer is sending
};

/// Reads a packet's fields.
class GdbStub::Text {
public:
    explicit Text(std::string_view text) : rest_{text} {}
    bool done() const { return rest_.empty(); }
    std::string_view rest() const { return rest_; }
    char peek() const { return rest_.empty() ? '\0' : rest_[0]; }
    bool take(char c) {
        if (peek() != c || rest_.empty()) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool take(std::string_view word) {
        if (!rest_.starts_with(word)) return false;
        rest_.remove_prefix(word.size());
        return true;
    }
    bool hex(u64& v);
    /// Up to the character, which is taken away too; all that is left if it does not come.
    std::string_view until(char c);
    std::string_view skip(size_t n);

private:
    std::string_view rest_;
};
}  // namespace calque
