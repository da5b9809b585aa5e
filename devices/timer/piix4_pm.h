// Intel 82371AB (PIIX4) function 3: power management and SMBus (datasheet 290562).
#pragma once
#include <array>

#include "devices/pci/pci_function.h"
#include "support/clock.h"

namespace calque {

class Piix4Pm final : public PciFunction {
public:
    static constexpr u64 kTimerHz = 3'579'545;
    static constexpr unsigned kPmWindow = 7, kSmbusWindow = 8;  // of PciWindows::bar_moved
    struct Pins {
        Line& sci;
        EdgeLine& smi;
        EdgeLine& power_off;
    };
    Piix4Pm(Clock&, Pins);

    /// Ports B2h (APMC) and B3h (APMS).
    PortDevice& apm() { return apm_; }
    /// APMC values that switch SCI_EN on and off, on behalf of firmware whose SMI handler does not (FADT fields
    /// ACPI_ENABLE and ACPI_DISABLE). 0, 0: none.
    void set_acpi_commands(u8 enable, u8 disable) { acpi_enable_ = enable, acpi_disable_ = disable; }
    /// The power button. False when the guest has not asked to hear of it.
    bool press_power_button();
    /// Bit `n` of GPSTS becomes `level`; GPE events are levels until the guest clears them.
    void raise_gpe(unsigned n);

    u64 bar_read(unsigned bar, u64 offset, unsigned size) override;
    void bar_write(unsigned bar, u64 offset, u64 value, unsigned size) override;
    void reset() override;
    void state(StateIO&) override;

private:
    class Apm final : public BytePortDevice {
    public:
        explicit Apm(Piix4Pm& pm) : pm_{pm} {}
        u8 read(u16 reg) override { return reg & 1 ? pm_.apms_ : pm_.apmc_; }
        void write(u16 reg, u8 value) override;
        void reset() override {}            // the registers belong to the function
        void state(StateIO&) override {}

    private:
        Piix4Pm& pm_;
    };
    void config_changed(u8 reg, unsigned size) override;
    void place_windows();
    u64 pm_ticks() const { return mul_div(clock_.now(), kTimerHz, kSecond); }
    void sync_timer();
    void update_sci();
    u8 pm_byte(unsigned offset);
    void write_pm_byte(unsigned offset, u8 value);
    void write_control(unsigned offset, u8 value);
    void enter_sleep(unsigned type);
    void command(u8 value);
    u8 smbus_byte(unsigned offset);
    void write_smbus_byte(unsigned offset, u8 value);
    void start_smbus();

    Clock& clock_;
    Pins pins_;
    Apm apm_{*this};
    u8 acpi_enable_ = 0, acpi_disable_ = 0;
    std::array<u8, 64> pm_{};   // registers at PMBASE that simply hold a value
    std::array<u8, 16> smbus_{};
    std::array<u8, 32> block_{};
    u8 block_index_ = 0;
    u8 apmc_ = 0, apms_ = 0;
    u64 overflows_seen_ = 0;    // toggles of the timer's bit 23 already turned into TMROF_STS
    Timer overflow_;
};
}  // namespace calque
