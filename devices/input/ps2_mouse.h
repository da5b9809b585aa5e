// A PS/2 mouse (IBM PS/2 Hardware Interface Technical Reference, "Mouse") that becomes an IntelliMouse with wheel
// (ID 3) and with five buttons (ID 4) when asked by the usual sequences of sample rates.
#pragma once
#include "devices/input/ps2_device.h"
#include "support/clock.h"

namespace calque {

class Ps2Mouse final : public Ps2Device {
public:
    explicit Ps2Mouse(Clock&);
    /// Counts to the right and downwards, and detents of the wheel away from the user.
    void move(int dx, int dy, int dz);
    /// 0 left, 1 right, 2 middle, 3 and 4 the side buttons.
    void button(unsigned n, bool down);

    void command(u8 byte) override;
    void reset() override;  // power on
    void state(StateIO&) override;

private:
    bool may_report() const override { return !argument_of_; }
    void drained() override { sample(); }
    void argument(u8 command, u8 byte);
    void set_defaults();
    void set_rate(u8 rate);
    void set_id_by_knock();
    void self_test_done();
    void sample();
    bool moved() const { return dx_ || dy_ || dz_ || pending_count_; }
    void push_packet(Queue&, bool scaled);
    static int take_part(int& total, int low, int high);
    int scaled(int v) const;

    Clock& clock_;
    i32 dx_ = 0, dy_ = 0, dz_ = 0;  // not yet reported, y upwards and z towards the user as in packets
    u8 buttons_ = 0, reported_ = 0; // now, and as of the last packet
    std::array<u8, 16> pending_{};  // states of the buttons still to be reported, so that no click is lost
    u8 pending_count_ = 0;
    u8 id_ = 0, rate_ = 100, resolution_ = 2;
    std::array<u8, 2> knock_{};     // the last sample rates
    bool scaling_ = false, remote_ = false, wrap_ = false, enabled_ = false;
    u8 argument_of_ = 0;
    Time next_sample_ = 0;
    Timer sample_, self_test_;
};
}  // namespace calque
