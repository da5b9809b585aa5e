// Choices where the reference leaves room:
// * The self-test takes 10 ms instead of 500 ms, since nobody gains from waiting.
// * The cursor keys come without the extra shift codes that undo Shift and Num Lock; print screen, pause and their
//   Ctrl and Alt forms send the sequences that the reference lists.
// * When the queue is full the last code becomes the overrun code.
#include "devices/input/ps2_keyboard.h"

#include "devices/input/scancodes.h"
#include "support/keys.h"
#include "support/log.h"

namespace calque {
namespace {
Log log{"ps2_keyboard"};
constexpr Time kSelfTestTime = 10'000'000;
constexpr unsigned kBuffer = 16;  // bytes of scan codes that the keyboard holds
constexpr u8 kSetLeds = 0xed, kEcho = 0xee, kScanSet = 0xf0, kReadId = 0xf2, kTypematic = 0xf3, kEnable = 0xf4, kDisable = 0xf5,
             kDefaults = 0xf6, kKeyMake = 0xfd, kKeyMakeBreak = 0xfc, kKeyTypematic = 0xfb, kResendCommand = 0xfe, kReset = 0xff;
}  // namespace

Ps2Keyboard::Ps2Keyboard(Clock& clock)
    : clock_{clock}, repeat_{clock, [this] { repeat(); }}, self_test_{clock, [this] { self_test_done(); }} {
    set_defaults();
}

// Commands

void Ps2Keyboard::command(u8 byte) {
    // A command in place of an argument cancels the command that waited.
    const u8 waiting = argument_of_;
    argument_of_ = 0;
    if (waiting && (byte < 0x80 || (waiting >= kKeyTypematic && waiting <= kKeyMake && byte < kSetLeds))) return argument(waiting, byte);
    switch (byte) {
    case kSetLeds:
    case kScanSet:
    case kTypematic:
    case kKeyTypematic:
    case kKeyMakeBreak:
    case kKeyMake:
        argument_of_ = byte;
        return reply({kAck});
    case kEcho: return reply({kEcho});
    case kReadId: return reply({kAck, 0xab, 0x83});
    case kEnable:
        events_.clear();
        enabled_ = true;
        return reply({kAck});
    case kDisable:
    case kDefaults:
        set_defaults();
        enabled_ = byte == kDefaults;
        return reply({kAck});
    case 0xf7:
    case 0xf8:
    case 0xf9:
    case 0xfa:
        set_key_types(byte);
        return reply({kAck});
    case kResendCommand: return reply({last_});
    case kReset:
        replies_.clear();
        set_defaults();
        enabled_ = false;
        self_test_.arm_in(kSelfTestTime);
        return reply({kAck});
    default:
        log.debug("unknown command %02x", byte);
        return reply({kResend});
    }
}

void Ps2Keyboard::argument(u8 command, u8 byte) {
    switch (command) {
    case kSetLeds: leds_ = byte & 7; break;
    case kTypematic: typematic_ = byte & 0x7f; break;
    case kScanSet:
        if (byte == 0) return reply({kAck, set_});
        if (byte > 3) return reply({kResend});
        set_ = byte;
        events_.clear();
        break;
    default:  // the key lists of FBh to FDh go on until the next command
        types_[byte] = {command == kKeyTypematic, command == kKeyMakeBreak};
        argument_of_ = command;
    }
    reply({kAck});
}

/// "Set All Keys": F7h typematic, F8h make/break, F9h make, FAh typematic/make/break.
void Ps2Keyboard::set_key_types(u8 command) {
    for (KeyType& t : types_) t = {command == 0xf7 || command == 0xfa, command == 0xf8 || command == 0xfa};
}

void Ps2Keyboard::set_defaults() {
    typematic_ = 0x2b;
    set_ = 2;
    leds_ = 0;
    argument_of_ = 0;
    events_.clear();
    repeat_.disarm();
    // "Scan Code Set 3": main keys repeat and send no break, modifiers make and break, the rest only make.
    for (unsigned usage = 0; usage < 256; ++usage) {
        const u8 code = scan_code(static_cast<u8>(usage)).set3;
        if (!code) continue;
        const bool modifier = (usage >= kKeyLeftCtrl && usage <= kKeyRightGui) || usage == kKeyCapsLock;
        const bool main = (usage >= kKeyA && usage <= kKeySlash) || (usage >= kKeyRight && usage <= kKeyUp) || usage == kKeyDelete;
        types_[code] = {main, modifier};
    }
}

void Ps2Keyboard::self_test_done() {
    enabled_ = true;
    reply({kSelfTestPassed});
}

// Keys

void Ps2Keyboard::key(u8 usage, bool down) {
    if (!scan_code(usage).set2 || down_[usage] == down) return;
    down_[usage] = down;
    if (!down && repeating_ == usage) repeat_.disarm();
    if (!enabled_) return;
    send_key(usage, down);
    if (down && repeats(usage)) {
        repeating_ = usage;
        repeat_.arm_in(repeat_delay());
    } else if (down) {
        repeat_.disarm();  // any other key ends the repetition
    }
}

bool Ps2Keyboard::repeats(u8 usage) const {
    if (usage == kKeyPause) return false;
    return set_ != 3 || types_[scan_code(usage).set3].typematic;
}

/// "Set Typematic Rate/Delay": (8 + A) * 2^B * 4.17 ms.
Time Ps2Keyboard::repeat_period() const { return Time{8u + (typematic_ & 7u)} * (1u << (typematic_ >> 3 & 3)) * 4'170'000; }

void Ps2Keyboard::repeat() {
    if (!down_[repeating_] || !enabled_) return;
    if (events_.count < kBuffer / 2) send_key(repeating_, true);  // a guest that does not listen gets no flood
    repeat_.arm_in(repeat_period());
}

void Ps2Keyboard::report(std::initializer_list<u8> bytes) {
    if (events_.count + bytes.size() > kBuffer) {
        if (events_.count < Queue::kSize && events_.count <= kBuffer) events_.push(set_ == 1 ? 0xff : 0x00);
        return notify();
    }
    for (u8 b : bytes) events_.push(b);
    notify();
}

void Ps2Keyboard::send_key(u8 usage, bool down) {
    const ScanCode& c = scan_code(usage);
    if (set_ == 3) return send_set3(c.set3, down);
    if (usage == kKeyPause || usage == kKeyPrintScreen) return send_special(usage, down);
    if (usage == kKeyLang1 || usage == kKeyLang2) {  // these two only make
        if (down) report({c.set2});
        return;
    }
    send_code(c.set2, c.e0, down);
}

void Ps2Keyboard::send_code(u8 set2, bool e0, bool down) {
    if (set_ == 1) {
        const u8 code = static_cast<u8>(translate_to_set1(set2) | (down ? 0 : 0x80));
        return e0 ? report({0xe0, code}) : report({code});
    }
    if (down) return e0 ? report({0xe0, set2}) : report({set2});
    return e0 ? report({0xe0, 0xf0, set2}) : report({0xf0, set2});
}

void Ps2Keyboard::send_set3(u8 code, bool down) {
    if (!code) return;
    if (down) report({code});
    else if (types_[code].sends_break) report({0xf0, code});
}

void Ps2Keyboard::send_special(u8 usage, bool down) {
    const bool ctrl = down_[kKeyLeftCtrl] || down_[kKeyRightCtrl], alt = down_[kKeyLeftAlt] || down_[kKeyRightAlt];
    const bool shift = down_[kKeyLeftShift] || down_[kKeyRightShift];
    if (usage == kKeyPause) {  // makes and breaks at once when pressed
        if (!down) return;
        if (ctrl) return send_code(0x7e, true, true), send_code(0x7e, true, false);
        return set_ == 1 ? report({0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5}) : report({0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77});
    }
    if (alt) return send_code(0x84, false, down);
    if (ctrl || shift) return send_code(0x7c, true, down);
    if (down) send_code(0x12, true, true), send_code(0x7c, true, true);
    else send_code(0x7c, true, false), send_code(0x12, true, false);
}

void Ps2Keyboard::reset() {
    replies_.clear();
    down_.reset();
    last_ = 0;
    set_defaults();
    enabled_ = false;
    self_test_.arm_in(kSelfTestTime);
}

void Ps2Keyboard::state(StateIO& s) {
    s.version(1);
    std::array<u8, 32> keys{};
    for (unsigned i = 0; i < 256; ++i) keys[i / 8] = static_cast<u8>(keys[i / 8] | down_[i] << i % 8);
    s(replies_, events_, last_, keys, types_, set_, leds_, typematic_, argument_of_, enabled_, repeating_, repeat_, self_test_);
    if (!s.loading()) return;
    for (unsigned i = 0; i < 256; ++i) down_[i] = keys[i / 8] >> i % 8 & 1;
    if (set_ < 1 || set_ > 3) set_ = 2;
    leds_ &= 7, typematic_ &= 0x7f;
    notify();
}
}  // namespace calque
