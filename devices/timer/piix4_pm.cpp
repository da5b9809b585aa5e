// Choices:
// * SUS_TYP 0 is soft off and takes the power away at once. The other suspend states are left as soon as they are
//   entered, with RSM_STS set, as if a wake event had been waiting.
// * A write to APMC raises SMI# whenever APMC_EN and SMI_EN are set; the end-of-SMI bit is kept but not required,
//   because a processor that is already in SMM holds the next SMI back by itself.
// * No device sits on the SMBus: every address answers with a device error.
#include "devices/timer/piix4_pm.h"

#include <algorithm>

#include "support/log.h"
#include "support/state_io.h"

namespace calque {
namespace {
Log log{"piix4_pm"};
// Configuration registers
constexpr u8 kPmBase = 0x40, kDevActB = 0x58, kPmRegMisc = 0x80, kSmbBase = 0x90, kSmbHostConfig = 0xd2;
constexpr u8 kApmcEnableByte = kDevActB + 3, kApmcEnable = 0x02;  // bit 25
// Registers at PMBASE
enum Pm : u8 { kPmSts = 0x00, kPmEn = 0x02, kPmCntrl = 0x04, kPmTmr = 0x08, kGpSts = 0x0c, kGpEn = 0x0e, kPCntrl = 0x10,
               kGlbSts = 0x18, kDevSts = 0x1c, kGlbEn = 0x20, kGlbCtl = 0x28, kDevCtl = 0x2c, kGpiReg = 0x30, kGpoReg = 0x34 };
constexpr u8 kTimerOverflow = 0x01, kGlobal = 0x20, kPowerButton = 0x01 /* high byte */, kResume = 0x80 /* high byte */;
constexpr u8 kSciEnable = 0x01, kGlobalRelease = 0x04, kSuspendEnable = 0x20 /* high byte */;
constexpr u8 kSmiEnable = 0x01, kApmStatus = 0x20;

/// What software may write at each offset from PMBASE (plain bits), and what it clears by writing ones.
constexpr std::array<u8, 64> writable = [] {
    std::array<u8, 64> m{};
    m[kPmEn] = 0x21, m[kPmEn + 1] = 0x05;
    m[kPmCntrl] = 0x03, m[kPmCntrl + 1] = 0x1c;
    m[kGpEn] = 0xff, m[kGpEn + 1] = 0x0f;
    for (unsigned i = 0; i < 4; ++i) m[kPCntrl + i] = m[kGlbCtl + i] = m[kDevCtl + i] = m[kGpoReg + i] = 0xff;
    m[kGlbEn] = m[kGlbEn + 1] = 0xff;
    return m;
}();
constexpr std::array<u8, 64> clearable = [] {
    std::array<u8, 64> m{};
    m[kPmSts] = 0x31, m[kPmSts + 1] = 0x85;
    m[kGpSts] = 0xff, m[kGpSts + 1] = 0x0f;
    m[kGlbSts] = 0xff, m[kGlbSts + 1] = 0x0f;
    for (unsigned i = 0; i < 4; ++i) m[kDevSts + i] = 0xff;
    return m;
}();

// SMBus host controller
enum Smb : u8 { kHstSts = 0, kSlvSts = 1, kHstCnt = 2, kHstCmd = 3, kHstAdd = 4, kHstDat0 = 5, kHstDat1 = 6, kBlkDat = 7, kSlvCnt = 8 };
constexpr u8 kSmbDeviceError = 0x04, kSmbStart = 0x40, kSmbStatusBits = 0x1e;
}  // namespace

Piix4Pm::Piix4Pm(Clock& clock, Pins pins)
    : PciFunction{{.vendor = 0x8086, .device = 0x7113, .class_code = 0x068000, .revision = 3, .interrupt_pin = 1}},
      clock_{clock}, pins_{pins}, overflow_{clock, [this] { update_sci(); }} {
    config_register(0x04, 2, 0, 0x0001);
    config_register(0x06, 2, 0x0280, 0);
    config_register(kPmBase, 4, 1, 0xffc0);
    config_register(0x44, 4, 0, 0xffffffff);  // CNTA
    config_register(0x48, 4, 0, 0xffffffff);  // CNTB
    config_register(0x4c, 4, 0, 0xffffffff);  // GPICTL
    config_register(0x50, 4, 0, 0x00ffffff);  // DEVRESD
    config_register(0x54, 4, 0, 0xffffffff);  // DEVACTA
    config_register(kDevActB, 4, 0, 0xffffffff);
    for (unsigned reg = 0x5c; reg <= 0x7c; reg += 4) config_register(static_cast<u8>(reg), 4, 0, 0xffffffff);  // DEVRESA..J
    config_register(kPmRegMisc, 1, 0, 0x01);
    config_register(kSmbBase, 4, 1, 0xfff0);
    config_register(kSmbHostConfig, 1, 0, 0x0f);
    config_register(0xd3, 3, 0, 0xffffff);  // slave command and shadow addresses
}

void Piix4Pm::place_windows() {
    const bool io = io_enabled();
    // "PMREGMISC": PMIOSE alone opens the power management window; the command register's I/O bit opens the SMBus.
    place_io_window(kPmWindow, config_[kPmRegMisc] & 1, config_value(kPmBase, 4) & 0xffc0, 64);
    place_io_window(kSmbusWindow, io && (config_[kSmbHostConfig] & 1), config_value(kSmbBase, 4) & 0xfff0, 16);
}

void Piix4Pm::config_changed(u8, unsigned) { place_windows(); }

/// TMROF_STS is set whenever bit 23 of the timer changes.
void Piix4Pm::sync_timer() {
    const u64 toggles = pm_ticks() >> 23;
    if (toggles != overflows_seen_) pm_[kPmSts] |= kTimerOverflow;
    overflows_seen_ = toggles;
}

void Piix4Pm::update_sci() {
    sync_timer();
    const bool event = (pm_[kPmSts] & pm_[kPmEn]) || (pm_[kPmSts + 1] & pm_[kPmEn + 1]) || (pm_[kGpSts] & pm_[kGpEn]) ||
                       (pm_[kGpSts + 1] & pm_[kGpEn + 1]);
    const bool sci = pm_[kPmCntrl] & kSciEnable;
    pins_.sci.set(sci && event);
    Time next = kNever;
    if (sci && (pm_[kPmEn] & kTimerOverflow) && !(pm_[kPmSts] & kTimerOverflow)) {
        const u128 ticks = static_cast<u128>(overflows_seen_ + 1) << 23;
        next = static_cast<Time>((ticks * kSecond + kTimerHz - 1) / kTimerHz);
    }
    overflow_.arm_at(next);
}

bool Piix4Pm::press_power_button() {
    pm_[kPmSts + 1] |= kPowerButton;
    update_sci();
    return (pm_[kPmCntrl] & kSciEnable) && (pm_[kPmEn + 1] & kPowerButton);
}

void Piix4Pm::raise_gpe(unsigned n) {
    if (n >= 12) return;
    pm_[kGpSts + n / 8] |= static_cast<u8>(1u << n % 8);
    update_sci();
}

u8 Piix4Pm::pm_byte(unsigned offset) {
    if (offset < kPmEn) sync_timer();
    if (offset >= kPmTmr && offset < kPmTmr + 4) return static_cast<u8>((pm_ticks() & 0xffffff) >> (8 * (offset - kPmTmr)));
    return pm_[offset];
}

void Piix4Pm::write_pm_byte(unsigned offset, u8 value) {
    if (offset < kPmEn) sync_timer();
    pm_[offset] = static_cast<u8>(((pm_[offset] & ~writable[offset]) | (value & writable[offset])) & ~(value & clearable[offset]));
    if (offset >= kPmCntrl && offset < kPmCntrl + 2) write_control(offset, value);
    update_sci();
}

void Piix4Pm::write_control(unsigned offset, u8 value) {
    if (offset == kPmCntrl && (value & kGlobalRelease)) {
        // GBL_RLS tells the firmware; BIOS_STS raises an SMI if BIOS_EN asks for it.
        pm_[kGlbSts] |= 0x01;
        if ((pm_[kGlbEn] & 0x01) && (pm_[kGlbCtl] & kSmiEnable)) pins_.smi.trigger();
    }
    if (offset == kPmCntrl + 1 && (value & kSuspendEnable)) enter_sleep((value >> 2) & 7);
}

void Piix4Pm::enter_sleep(unsigned type) {
    if (type == 0) {
        log.info("soft off");
        return pins_.power_off.trigger();
    }
    log.warn("the guest suspends (SUS_TYP %u); it is woken at once", type);
    pm_[kPmSts + 1] |= kResume;
}

void Piix4Pm::Apm::write(u16 reg, u8 value) {
    if (reg & 1) pm_.apms_ = value;
    else pm_.command(value);
}

void Piix4Pm::command(u8 value) {
    apmc_ = value;
    if (acpi_enable_ != acpi_disable_ && (value == acpi_enable_ || value == acpi_disable_)) {
        pm_[kPmCntrl] = static_cast<u8>(value == acpi_enable_ ? pm_[kPmCntrl] | kSciEnable : pm_[kPmCntrl] & ~kSciEnable);
        update_sci();
    }
    if (!(config_[kApmcEnableByte] & kApmcEnable)) return;
    pm_[kGlbSts] |= kApmStatus;
    if (pm_[kGlbCtl] & kSmiEnable) pins_.smi.trigger();
}

void Piix4Pm::start_smbus() {
    log.debug("SMBus transfer to address %02x: nobody there", smbus_[kHstAdd] >> 1);
    smbus_[kHstSts] |= kSmbDeviceError;
}

u8 Piix4Pm::smbus_byte(unsigned offset) {
    if (offset == kHstCnt) block_index_ = 0;  // "reading SMBHSTCNT resets the block index"
    if (offset == kBlkDat) return block_[block_index_++ % block_.size()];
    return smbus_[offset];
}

void Piix4Pm::write_smbus_byte(unsigned offset, u8 value) {
    switch (offset) {
    case kHstSts: smbus_[kHstSts] &= static_cast<u8>(~(value & kSmbStatusBits)); break;
    case kSlvSts: smbus_[kSlvSts] &= static_cast<u8>(~(value & 0x3c)); break;
    case kHstCnt:
        smbus_[kHstCnt] = value & 0x1d;
        if (value & kSmbStart) start_smbus();
        break;
    case kBlkDat: block_[block_index_++ % block_.size()] = value; break;
    case kSlvCnt: smbus_[kSlvCnt] = value & 0x0d; break;
    default:
        if (offset <= kHstDat1) smbus_[offset] = value;
    }
}

u64 Piix4Pm::bar_read(unsigned bar, u64 offset, unsigned size) {
    u64 v = 0;
    for (unsigned i = 0; i < size; ++i) {
        const auto at = static_cast<unsigned>(offset) + i;
        const u8 b = bar == kPmWindow ? pm_byte(at & 63) : bar == kSmbusWindow ? smbus_byte(at & 15) : 0xff;
        v |= u64{b} << (8 * i);
    }
    return v;
}

void Piix4Pm::bar_write(unsigned bar, u64 offset, u64 value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) {
        const auto at = static_cast<unsigned>(offset) + i;
        const u8 b = static_cast<u8>(value >> (8 * i));
        if (bar == kPmWindow) write_pm_byte(at & 63, b);
        else if (bar == kSmbusWindow) write_smbus_byte(at & 15, b);
    }
}

void Piix4Pm::reset() {
    PciFunction::reset();
    pm_ = {}, smbus_ = {}, block_ = {};
    pm_[kGpoReg] = 0xff, pm_[kGpoReg + 1] = 0xfb, pm_[kGpoReg + 2] = 0xff, pm_[kGpoReg + 3] = 0x7f;
    block_index_ = apmc_ = apms_ = 0;
    overflows_seen_ = pm_ticks() >> 23;
    update_sci();
    place_windows();
}

void Piix4Pm::state(StateIO& s) {  // the machine loads its clock before its devices
    if (s.saving()) sync_timer();
    PciFunction::state(s);
    s.version(1);
    s(pm_, smbus_, block_, block_index_, apmc_, apms_, overflows_seen_);
    if (!s.loading()) return;
    overflows_seen_ = std::min(overflows_seen_, pm_ticks() >> 23);
    config_[kPmBase] = static_cast<u8>((config_[kPmBase] & 0xc0) | 1);
    update_sci();
    place_windows();
}
}  // namespace calque
