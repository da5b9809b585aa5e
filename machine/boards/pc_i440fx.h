// The board: Intel 440FX with PIIX3 and the PIIX4's power management, as one reads a schematic. All addresses and
// interrupt numbers are in this file's .cpp and nowhere else.
#pragma once
#include <array>
#include <functional>
#include <list>
#include <memory>
#include <optional>

#include "devices/display/vga_pci.h"
#include "devices/input/i8042.h"
#include "devices/input/ps2_keyboard.h"
#include "devices/input/ps2_mouse.h"
#include "devices/irq/i8259a.h"
#include "devices/irq/ioapic.h"
#include "devices/pci/i440fx.h"
#include "devices/pci/pci_host.h"
#include "devices/pci/piix3.h"
#include "devices/serial/parallel.h"
#include "devices/serial/uart16550.h"
#include "devices/storage/ata_disk.h"
#include "devices/storage/atapi_cdrom.h"
#include "devices/storage/i82078.h"
#include "devices/storage/piix3_ide.h"
#include "devices/system/coprocessor_error.h"
#include "devices/system/debugcon.h"
#include "devices/system/fw_cfg.h"
#include "devices/system/i8237.h"
#include "devices/system/isa_debug_exit.h"
#include "devices/system/port61.h"
#include "devices/system/port92.h"
#include "devices/timer/hpet.h"
#include "devices/timer/i8254.h"
#include "devices/timer/mc146818.h"
#include "devices/timer/piix4_pm.h"
#include "machine/io_ports.h"
#include "machine/phys_map.h"

namespace calque {

/// What is plugged in. Images and sinks belong to the caller and outlive the board.
struct BoardConfig {
    std::vector<u8> bios, vga_bios;
    i64 rtc_epoch = 0;
    unsigned cpus = 1;
    struct Ide {
        enum class Kind { none, disk, cdrom } kind = Kind::none;
        BlockImage* image = nullptr;  // a CD-ROM drive may be empty
    };
    std::array<Ide, 4> ide;           // primary master and slave, secondary master and slave
    struct Floppy {
        bool present = false;
        BlockImage* image = nullptr;
        FloppyType type = FloppyType::none;   // none: what the image needs
    };
    std::array<Floppy, 2> floppy;
    std::vector<CharSink*> serial;    // up to four
    std::vector<CharSink*> parallel;  // up to three
    CharSink* debugcon = nullptr;     // port E9h
    CharSink* firmware_log = nullptr; // port 402h, where SeaBIOS writes its messages
    bool debug_exit = false;
};

struct BoardPins {
    Line& intr;
    Line& nmi;
    Line& smi;
    EdgeLine& ignne;
    ApicBus& apic;
};

/// What only the machine can do.
struct BoardEvents {
    std::function<void()> hard_reset, soft_reset, power_off;
    std::function<void(u32)> debug_exit;
};

class PcI440fx final : public IntAck, public ApicEoi, private PciWindows, private I440fxMemory {
public:
    PcI440fx(const BoardConfig&, PhysMap&, IoPorts&, Clock&, BoardPins, BoardEvents);
    ~PcI440fx() override;

    u8 acknowledge() override { return pic1_.ack(); }
    EdgeLine& ferr() { return coprocessor_error_.ferr(); }
    void eoi(u8 vector) override { ioapic_.eoi(vector); }

    void reset();
    struct Named {
        const char* name;
        Device* device;
    };
    /// Everything that has state, in the order in which it is saved.
    const std::vector<Named>& devices() const { return devices_; }

    FwCfg& fw_cfg() { return fw_cfg_; }
    Vga& vga() { return vga_.vga(); }
    Piix4Pm& pm() { return pm_; }
    Ps2Keyboard& keyboard() { return keyboard_; }
    Ps2Mouse& mouse() { return mouse_; }
    Uart16550* serial(unsigned n) { return n < serial_.size() ? serial_[n].get() : nullptr; }
    AtapiCdrom* cdrom(unsigned n) { return n < cdroms_.size() ? cdroms_[n].get() : nullptr; }
    I82078* floppy() { return floppy_ ? &*floppy_ : nullptr; }
    Mc146818& rtc() { return rtc_; }
    I8259a& pic(unsigned n) { return n ? pic2_ : pic1_; }
    IoApic& ioapic() { return ioapic_; }

    /// OpenFirmware paths as SeaBIOS writes them in its boot order.
    static std::string ide_path(unsigned position, BoardConfig::Ide::Kind);
    static std::string floppy_path(unsigned drive);
    static constexpr u16 kPmBase = 0x600, kGpe0 = kPmBase + 0x0c;
    static constexpr u8 kAcpiEnable = 0xf1, kAcpiDisable = 0xf0;

private:
    class BarPorts;   // a BAR in I/O space or memory, as ports or memory-mapped registers
    class Split;      // one line that drives two
    class Joint;      // several lines that drive one
    void bar_moved(PciFunction&, unsigned bar, bool io, bool enabled, u64 base, u64 size) override;
    void pam_changed(u32 base, u32 size, bool read_ram, bool write_ram) override;
    void smram_changed(bool enabled, bool open, bool closed) override;
    void set_a20(bool level) { memory_.set_a20(level); }
    void pulse_smi() { pins_.smi.pulse(); }
    void hard_reset() { events_.hard_reset(); }
    void soft_reset() { events_.soft_reset(); }
    void power_off() { events_.power_off(); }
    Line& isa_split(unsigned irq);
    Line& joint(Line& to);
    Piix3::Pins piix3_pins();
    Hpet::Pins hpet_pins();
    BarPorts& bar_ports(PciFunction&, unsigned bar);

    void wire_ports();
    void wire_memory();
    void wire_pci();
    void plug_in_drives(const BoardConfig&);
    void plug_in_ports(const BoardConfig&);
    void fill_cmos(const BoardConfig&);
    void list_devices();

    PhysMap& memory_;
    IoPorts& io_;
    Clock& clock_;
    BoardPins pins_;
    BoardEvents events_;
    std::list<std::unique_ptr<Line>> wires_;
    std::list<std::unique_ptr<BarPorts>> bars_;
    std::vector<u8> bios_;

    EdgePin<&PcI440fx::hard_reset> hard_reset_pin_{*this};
    EdgePin<&PcI440fx::soft_reset> soft_reset_pin_{*this};
    EdgePin<&PcI440fx::power_off> power_off_pin_{*this};
    EdgePin<&PcI440fx::pulse_smi> smi_pin_{*this};
    Pin<&PcI440fx::set_a20> a20_pin_{*this};

    I8259a pic1_, pic2_;
    Elcr elcr_;
    IoApic ioapic_;
    I440fx i440fx_;
    Piix3 piix3_;
    PciHost pci_;
    Hpet hpet_;
    I8254 pit_;
    Mc146818 rtc_;
    IsaDma dma_;
    A20Gate a20_;
    Port92 port92_;
    CoprocessorError coprocessor_error_;
    Port61 port61_;
    Piix4Pm pm_;
    Piix3Ide ide_;
    VgaPci vga_;
    FwCfg fw_cfg_;
    Ps2Keyboard keyboard_;
    Ps2Mouse mouse_;
    I8042 i8042_;
    std::optional<I82078> floppy_;
    std::vector<std::unique_ptr<AtaDisk>> disks_;
    std::vector<std::unique_ptr<AtapiCdrom>> cdroms_;
    std::vector<std::unique_ptr<Uart16550>> serial_;
    std::vector<std::unique_ptr<ParallelPort>> parallel_;
    std::optional<DebugCon> debugcon_, firmware_log_;
    std::optional<IsaDebugExit> debug_exit_;
    std::vector<Named> devices_;
};
}  // namespace calque
