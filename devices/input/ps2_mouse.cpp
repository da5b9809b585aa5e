// Choices: the self-test takes 10 ms. Movement beyond what a packet holds goes into the next packet, so the overflow
// bits are never set. The resolution changes nothing: the host's counts are the mouse's counts.
#include "devices/input/ps2_mouse.h"

#include "support/log.h"

namespace calque {
namespace {
Log log{"ps2_mouse"};
constexpr Time kSelfTestTime = 10'000'000;
constexpr int kFarthest = 20000;  // movement that is remembered while nobody asks
constexpr u8 kSetResolution = 0xe8, kSetRate = 0xf3, kResetWrap = 0xec, kReset = 0xff;
}  // namespace

Ps2Mouse::Ps2Mouse(Clock& clock)
    : clock_{clock}, sample_{clock, [this] { sample(); }}, self_test_{clock, [this] { self_test_done(); }} {}

void Ps2Mouse::move(int dx, int dy, int dz) {
    const auto add = [](i32& total, int v) { total = std::clamp(total + std::clamp(v, -kFarthest, kFarthest), -kFarthest, kFarthest); };
    add(dx_, dx), add(dy_, -std::clamp(dy, -kFarthest, kFarthest));
    if (id_) add(dz_, -std::clamp(dz, -kFarthest, kFarthest));
    sample();
}

void Ps2Mouse::button(unsigned n, bool down) {
    if (n > 4) return;
    const u8 now = static_cast<u8>(down ? buttons_ | 1u << n : buttons_ & ~(1u << n));
    if (now == buttons_) return;
    buttons_ = now;
    if (!enabled_ || remote_) return;
    if (pending_count_ < pending_.size()) pending_[pending_count_++] = now;
    else pending_.back() = now;
    sample();
}

/// Makes a packet if there is something to say, room for it, and the sample rate allows.
void Ps2Mouse::sample() {
    if (!enabled_ || remote_ || wrap_ || !moved()) return;
    if (clock_.now() < next_sample_) return sample_.arm_at(next_sample_);
    if (events_.count) return;  // drained() comes back
    push_packet(events_, true);
    next_sample_ = clock_.now() + kSecond / rate_;
    if (moved()) sample_.arm_at(next_sample_);
    notify();
}

int Ps2Mouse::take_part(int& total, int low, int high) {
    const int v = std::clamp(total, low, high);
    total -= v;
    return v;
}

/// "Set Scaling 2:1"
int Ps2Mouse::scaled(int v) const {
    constexpr std::array<int, 6> small = {0, 1, 1, 3, 6, 9};
    const int n = v < 0 ? -v : v, r = n < 6 ? small[static_cast<size_t>(n)] : 2 * n;
    return v < 0 ? -r : r;
}

void Ps2Mouse::push_packet(Queue& q, bool may_scale) {
    if (pending_count_) {
        reported_ = pending_[0];
        std::copy(pending_.begin() + 1, pending_.end(), pending_.begin());
        --pending_count_;
    } else {
        reported_ = buttons_;
    }
    const bool twice = scaling_ && may_scale;
    int x = take_part(dx_, twice ? -127 : -255, twice ? 127 : 255), y = take_part(dy_, twice ? -127 : -255, twice ? 127 : 255);
    if (twice) x = scaled(x), y = scaled(y);
    q.push(static_cast<u8>((reported_ & 7) | 8 | (x < 0) << 4 | (y < 0) << 5));
    q.push(static_cast<u8>(x)), q.push(static_cast<u8>(y));
    if (id_ == 3) q.push(static_cast<u8>(take_part(dz_, -8, 7)));
    if (id_ == 4) q.push(static_cast<u8>((take_part(dz_, -8, 7) & 0x0f) | (reported_ & 0x18) << 1));
    if (!id_) dz_ = 0;
}

void Ps2Mouse::set_defaults() {
    rate_ = 100, resolution_ = 2;
    scaling_ = remote_ = wrap_ = enabled_ = false;
    dx_ = dy_ = dz_ = 0;
    pending_count_ = 0;
    argument_of_ = 0;
    events_.clear();
    sample_.disarm();
    next_sample_ = 0;
}

void Ps2Mouse::set_rate(u8 rate) {
    rate_ = std::max<u8>(rate, 10);
    if (rate == 80 && knock_[0] == 200 && knock_[1] == 100) id_ = 3;
    if (rate == 80 && knock_[0] == 200 && knock_[1] == 200 && id_ == 3) id_ = 4;
    knock_ = {knock_[1], rate};
}

void Ps2Mouse::argument(u8 command, u8 byte) {
    if (command == kSetRate) {
        set_rate(byte);
    } else {
        if (byte > 3) return reply({kResend});
        resolution_ = byte;
    }
    reply({kAck});
}

void Ps2Mouse::command(u8 byte) {
    if (wrap_ && byte != kReset && byte != kResetWrap) return reply({byte});
    if (const u8 waiting = argument_of_) {
        argument_of_ = 0;
        return argument(waiting, byte);
    }
    if (byte != kSetRate && byte != 0xf2) knock_ = {};
    switch (byte) {
    case 0xe6:
    case 0xe7: scaling_ = byte == 0xe7; break;
    case kSetResolution:
    case kSetRate: argument_of_ = byte; break;
    case 0xe9: {  // "Status Request"
        const u8 pressed = static_cast<u8>((buttons_ >> 1 & 1) | (buttons_ >> 2 & 1) << 1 | (buttons_ & 1) << 2);
        return reply({kAck, static_cast<u8>(remote_ << 6 | enabled_ << 5 | scaling_ << 4 | pressed), resolution_, rate_});
    }
    case 0xea: remote_ = false; break;
    case 0xeb:
        reply({kAck});
        if (replies_.room() >= 4) push_packet(replies_, false);
        return notify();
    case kResetWrap: wrap_ = false; break;
    case 0xee: wrap_ = true; break;
    case 0xf0: remote_ = true, events_.clear(); break;
    case 0xf2: return reply({kAck, id_});
    case 0xf4:
        enabled_ = true;
        dx_ = dy_ = dz_ = 0, pending_count_ = 0;
        break;
    case 0xf5:
        enabled_ = false;
        events_.clear();
        break;
    case 0xf6: set_defaults(); break;
    case 0xfe: return reply({last_});
    case kReset:
        replies_.clear();
        set_defaults();
        id_ = 0;
        self_test_.arm_in(kSelfTestTime);
        break;
    default:
        log.debug("unknown command %02x", byte);
        return reply({kResend});
    }
    reply({kAck});
}

void Ps2Mouse::self_test_done() { reply({kSelfTestPassed, id_}); }

void Ps2Mouse::reset() {
    replies_.clear();
    set_defaults();
    id_ = last_ = buttons_ = reported_ = 0;
    knock_ = {};
    self_test_.arm_in(kSelfTestTime);
}

void Ps2Mouse::state(StateIO& s) {
    s.version(1);
    s(replies_, events_, last_, dx_, dy_, dz_, buttons_, reported_, pending_, pending_count_, id_, rate_, resolution_, knock_);
    s(scaling_, remote_, wrap_, enabled_, argument_of_, next_sample_, sample_, self_test_);
    if (!s.loading()) return;
    for (i32* v : {&dx_, &dy_, &dz_}) *v = std::clamp(*v, -kFarthest, kFarthest);
    pending_count_ = std::min<u8>(pending_count_, static_cast<u8>(pending_.size()));
    if (id_ != 3 && id_ != 4) id_ = 0;
    rate_ = std::max<u8>(rate_, 10);
    next_sample_ = std::min(next_sample_, clock_.now() + kSecond);
    notify();
}
}  // namespace calque
