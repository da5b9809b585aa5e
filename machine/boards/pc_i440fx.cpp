#include "machine/boards/pc_i440fx.h"

#include <algorithm>

#include "support/assert.h"
#include "support/log.h"

namespace calque {
namespace {
Log log{"pc_i440fx"};
}

// A BAR's registers, wherever the guest has placed them.
class PcI440fx::BarPorts final : public PortDevice, public MmioDevice {
public:
    BarPorts(PciFunction& f, unsigned b) : function{f}, bar{b} {}
    u32 io_read(u16 reg, unsigned size) override { return static_cast<u32>(function.bar_read(bar, reg, size)); }
    void io_write(u16 reg, u32 value, unsigned size) override { function.bar_write(bar, reg, value, size); }
    u64 mmio_read(u64 offset, unsigned size) override { return function.bar_read(bar, offset, size); }
    void mmio_write(u64 offset, u64 value, unsigned size) override { function.bar_write(bar, offset, value, size); }
    void reset() override {}
    void state(StateIO&) override {}
    PciFunction& function;
    const unsigned bar;
};

class PcI440fx::Split final : public Line {
public:
    Split(Line& a, Line& b) : a_{a}, b_{b} {}
    void set(bool level) override { a_.set(level), b_.set(level); }

private:
    Line &a_, &b_;
};

// Wired-OR: several sources on one ISA interrupt (two serial ports).
class PcI440fx::Joint final : public Line {
public:
    explicit Joint(Line& to, std::shared_ptr<unsigned> high) : to_{to}, high_{std::move(high)} {}
    void set(bool level) override {
        if (level == level_) return;
        level_ = level;
        *high_ += level ? 1 : -1u;
        to_.set(*high_ > 0);
    }

private:
    Line& to_;
    std::shared_ptr<unsigned> high_;
    bool level_ = false;
};

// An ISA interrupt reaches its 8259A input and the I/O APIC pin of the same number, except that the timer has pin 2.
Line& PcI440fx::isa_split(unsigned irq) {
    if (irq == 2) return nc();  // the cascade
    Line& pic = irq < 8 ? pic1_.ir(irq) : pic2_.ir(irq - 8);
    return *wires_.emplace_back(std::make_unique<Split>(pic, ioapic_.pin(irq == 0 ? 2 : irq)));
}

Piix3::Pins PcI440fx::piix3_pins() {
    std::array<Line*, 16> irq;
    for (unsigned n = 0; n < irq.size(); ++n) irq[n] = &isa_split(n);
    return {irq, {&ioapic_.pin(16), &ioapic_.pin(17), &ioapic_.pin(18), &ioapic_.pin(19)}, hard_reset_pin_, soft_reset_pin_};
}

Hpet::Pins PcI440fx::hpet_pins() {
    std::array<Line*, 24> pins;
    for (unsigned n = 0; n < pins.size(); ++n) pins[n] = &ioapic_.pin(n);
    return {piix3_.isa_irq(0), piix3_.isa_irq(8), pins};
}

PcI440fx::PcI440fx(const BoardConfig& config, PhysMap& memory, IoPorts& io, Clock& clock, BoardPins pins, BoardEvents events)
    : memory_{memory}, io_{io}, clock_{clock}, pins_{pins}, events_{std::move(events)}, bios_{config.bios},
      pic1_{I8259a::Role::master, pins.intr}, pic2_{I8259a::Role::slave, pic1_.ir(2)}, elcr_{pic1_, pic2_},
      ioapic_{pins.apic},
      i440fx_{*this, memory.low_ram()},
      piix3_{piix3_pins()},
      pci_{*this, {&piix3_.pirq(0), &piix3_.pirq(1), &piix3_.pirq(2), &piix3_.pirq(3)}},
      hpet_{clock, hpet_pins()},
      pit_{clock, hpet_.pit_in()},
      rtc_{clock, hpet_.rtc_in(), config.rtc_epoch},
      dma_{memory},
      a20_{a20_pin_}, port92_{a20_.port92(), soft_reset_pin_},
      coprocessor_error_{piix3_.isa_irq(13), pins.ignne},
      port61_{clock, pit_.gate(2), [this] { return pit_.out(2); }},
      pm_{clock, {piix3_.isa_irq(9), smi_pin_, power_off_pin_}},
      ide_{memory, piix3_.isa_irq(14), piix3_.isa_irq(15)},
      vga_{clock, config.vga_bios},
      fw_cfg_{memory},
      keyboard_{clock}, mouse_{clock},
      i8042_{clock, {piix3_.isa_irq(1), piix3_.isa_irq(12), a20_.keyboard(), soft_reset_pin_}, keyboard_, mouse_} {
    pic1_.cascade(2, pic2_);
    pm_.set_acpi_commands(kAcpiEnable, kAcpiDisable);
    wire_memory();
    wire_ports();
    wire_pci();
    plug_in_drives(config);
    plug_in_ports(config);
    fill_cmos(config);
    list_devices();
}

PcI440fx::~PcI440fx() = default;

void PcI440fx::wire_memory() {
    const u64 size = bios_.size();
    const u64 isa = std::min<u64>(size, 128 * kKiB);  // the BIOS's last part is visible below 1 MiB too
    memory_.map_memory({this, 0}, 4 * kGiB - size, size, bios_, false);
    memory_.map_isa_rom(static_cast<u32>(kMiB - isa), std::span{bios_}.last(isa));
    memory_.map_isa_device(0xa0000, 0x20000, vga_.vga());
    memory_.map_device({&ioapic_, 0}, 0xfec00000, 0x1000, ioapic_);
    memory_.map_device({&hpet_, 0}, 0xfed00000, 0x400, hpet_);
}

void PcI440fx::wire_ports() {
    io_.map(0x000, 16, dma_.first());
    io_.map(0x020, 2, pic1_);
    io_.map(0x040, 4, pit_);
    io_.map(0x060, 1, i8042_.data_port());
    io_.map(0x061, 1, port61_);
    io_.map(0x064, 1, i8042_.command_port());
    io_.map(0x070, 4, rtc_);
    io_.map(0x080, 16, dma_.pages());
    io_.map(0x092, 1, port92_);
    io_.map(0x0a0, 2, pic2_);
    io_.map(0x0b2, 2, pm_.apm());
    io_.map(0x0c0, 32, dma_.second());
    io_.map(0x0f0, 1, coprocessor_error_);
    io_.map(0x170, 8, ide_.channel(1).command_block());
    io_.map(0x1ce, 3, vga_.vga().dispi_ports());  // two 16-bit registers, one port apart
    io_.map(0x1f0, 8, ide_.channel(0).command_block());
    io_.map(0x376, 1, ide_.channel(1).control_block());
    io_.map(0x3b0, 48, vga_.vga());
    io_.map(0x3f6, 1, ide_.channel(0).control_block());
    io_.map(0x4d0, 2, elcr_);
    io_.map(0x510, FwCfg::kPorts, fw_cfg_);
    io_.map(0xcf8, 8, pci_);
}

void PcI440fx::wire_pci() {
    pci_.set_reset_control(piix3_.reset_control());
    pci_.attach(0, 0, i440fx_);
    pci_.attach(1, 0, piix3_);
    pci_.attach(1, 1, ide_);
    pci_.attach(1, 3, pm_);
    pci_.attach(2, 0, vga_);
}

void PcI440fx::plug_in_drives(const BoardConfig& config) {
    for (unsigned n = 0; n < config.ide.size(); ++n) {
        const BoardConfig::Ide& slot = config.ide[n];
        IdeChannel& channel = ide_.channel(n / 2);
        const std::string serial = "CQ0000000" + std::to_string(n + 1);
        if (slot.kind == BoardConfig::Ide::Kind::disk) {
            AtaDisk::Identity id;
            id.serial = serial;
            channel.attach(n % 2, *disks_.emplace_back(std::make_unique<AtaDisk>(clock_, *slot.image, id)));
        } else if (slot.kind == BoardConfig::Ide::Kind::cdrom) {
            AtapiCdrom::Identity id;
            id.serial = serial;
            AtapiCdrom& drive = *cdroms_.emplace_back(std::make_unique<AtapiCdrom>(clock_, id));
            drive.insert(slot.image);
            channel.attach(n % 2, drive);
        }
    }
    if (!config.floppy[0].present && !config.floppy[1].present) return;
    floppy_.emplace(clock_, dma_.channel(2), piix3_.isa_irq(6));
    io_.map(0x3f0, 6, *floppy_, 0);
    io_.map(0x3f7, 1, *floppy_, 7);
    for (unsigned n = 0; n < 2; ++n) {
        if (!config.floppy[n].present) continue;
        BlockImage* image = config.floppy[n].image;
        const FloppyType type = config.floppy[n].type;
        floppy_->drive(n).install(type != FloppyType::none ? type : image ? FloppyDrive::type_for(image->size()) : FloppyType::m1440);
        floppy_->drive(n).insert(image);
    }
}

void PcI440fx::plug_in_ports(const BoardConfig& config) {
    constexpr std::array<u16, 4> kSerial{0x3f8, 0x2f8, 0x3e8, 0x2e8};
    constexpr std::array<u16, 3> kParallel{0x378, 0x278, 0x3bc};
    // The first and third serial port share an interrupt, and the second and fourth.
    const std::array<std::shared_ptr<unsigned>, 2> high{std::make_shared<unsigned>(0), std::make_shared<unsigned>(0)};
    const std::array<Line*, 3> parallel_irq{&piix3_.isa_irq(7), &piix3_.isa_irq(5), &nc()};
    for (unsigned n = 0; n < std::min(config.serial.size(), kSerial.size()); ++n) {
        Line& line = *wires_.emplace_back(std::make_unique<Joint>(piix3_.isa_irq(n % 2 ? 3 : 4), high[n % 2]));
        serial_.push_back(std::make_unique<Uart16550>(clock_, line, *config.serial[n]));
        serial_[n]->limit_character_time(1000);
        io_.map(kSerial[n], 8, *serial_[n]);
    }
    for (unsigned n = 0; n < std::min(config.parallel.size(), kParallel.size()); ++n) {
        parallel_.push_back(std::make_unique<ParallelPort>(clock_, *parallel_irq[n], config.parallel[n]));
        io_.map(kParallel[n], 3, *parallel_[n]);
    }
    if (config.debugcon) io_.map(0x0e9, 1, debugcon_.emplace(*config.debugcon));
    if (config.firmware_log) io_.map(0x402, 1, firmware_log_.emplace(*config.firmware_log));
    if (config.debug_exit) io_.map(0x0f4, 4, debug_exit_.emplace([this](u32 value) { events_.debug_exit(value); }));
}

// What a setup program would have stored (IBM PC/AT Technical Reference, "Real-Time Clock/CMOS RAM Information"), and
// the places where SeaBIOS looks for memory sizes on this chip set.
void PcI440fx::fill_cmos(const BoardConfig& config) {
    const auto word = [&](u8 index, u64 value) {
        rtc_.set_cmos(index, static_cast<u8>(value)), rtc_.set_cmos(static_cast<u8>(index + 1), static_cast<u8>(value >> 8));
    };
    const u64 low = memory_.low_ram(), high = memory_.high_ram();
    word(0x15, 640);
    const u64 extended = low > kMiB ? std::min<u64>((low - kMiB) / kKiB, 0xffff) : 0;
    word(0x17, extended), word(0x30, extended);
    word(0x34, low > 16 * kMiB ? std::min<u64>((low - 16 * kMiB) / (64 * kKiB), 0xffff) : 0);
    word(0x5b, high / (64 * kKiB) & 0xffff);
    rtc_.set_cmos(0x5d, static_cast<u8>(high / (64 * kKiB) >> 16));
    rtc_.set_cmos(0x5f, static_cast<u8>(config.cpus - 1));
    u8 types = 0, equipment = 0x06;  // a coprocessor and a PS/2 mouse
    unsigned floppies = 0;
    for (unsigned n = 0; floppy_ && n < 2; ++n) {
        const auto type = static_cast<u8>(floppy_->drive(n).type());
        types |= static_cast<u8>(n == 0 ? type << 4 : type);
        floppies += type != 0;
    }
    if (floppies) equipment |= static_cast<u8>(1 | (floppies - 1) << 6);
    rtc_.set_cmos(0x10, types);
    rtc_.set_cmos(0x14, equipment);
    u16 sum = 0;
    for (u8 i = 0x10; i <= 0x2d; ++i) sum = static_cast<u16>(sum + rtc_.cmos(i));
    rtc_.set_cmos(0x2e, static_cast<u8>(sum >> 8)), rtc_.set_cmos(0x2f, static_cast<u8>(sum));
}

void PcI440fx::list_devices() {
    devices_ = {{"pic1", &pic1_}, {"pic2", &pic2_}, {"ioapic", &ioapic_}, {"i440fx", &i440fx_}, {"piix3", &piix3_},
                {"pci", &pci_}, {"hpet", &hpet_}, {"pit", &pit_}, {"rtc", &rtc_}, {"dma", &dma_}, {"a20", &a20_},
                {"port92", &port92_}, {"coprocessor error", &coprocessor_error_}, {"port61", &port61_}, {"pm", &pm_}, {"ide", &ide_}, {"vga", &vga_},
                {"fw_cfg", &fw_cfg_}, {"keyboard", &keyboard_}, {"mouse", &mouse_}, {"i8042", &i8042_}};
    if (floppy_) devices_.push_back({"floppy", &*floppy_});
    for (auto& port : serial_) devices_.push_back({"serial", port.get()});
    for (auto& port : parallel_) devices_.push_back({"parallel", port.get()});
}

void PcI440fx::reset() {
    for (const Named& d : devices_) d.device->reset();
}

PcI440fx::BarPorts& PcI440fx::bar_ports(PciFunction& f, unsigned bar) {
    for (auto& b : bars_)
        if (&b->function == &f && b->bar == bar) return *b;
    return *bars_.emplace_back(std::make_unique<BarPorts>(f, bar));
}

void PcI440fx::bar_moved(PciFunction& f, unsigned bar, bool io, bool enabled, u64 base, u64 size) {
    log.debug("BAR %u of function %p: %s at %llx, %llx bytes, %s", bar, static_cast<void*>(&f), io ? "I/O" : "memory",
              static_cast<unsigned long long>(base), static_cast<unsigned long long>(size), enabled ? "on" : "off");
    if (io) {
        io_.unmap_window(&f, bar);
        if (enabled && base < 0x10000)
            io_.map_window(&f, bar, static_cast<u16>(base), static_cast<unsigned>(std::min<u64>(size, 0x10000 - base)), bar_ports(f, bar));
        return;
    }
    const PhysMap::WindowId id{&f, bar};
    if (!enabled) return memory_.unmap(id);
    const std::span<u8> host = f.bar_memory(bar);
    if (host.empty()) memory_.map_device(id, base, size, bar_ports(f, bar));
    else memory_.map_memory(id, base, std::min<u64>(size, host.size()), host, bar != 6);
}

void PcI440fx::pam_changed(u32 base, u32 size, bool read_ram, bool write_ram) {
    memory_.set_pam(base, size, read_ram, write_ram);
}

// A closed SMRAM hides its data from SMM code but not its instructions. The processor does not tell us which it wants,
// so closing changes nothing; no firmware that we know closes it.
void PcI440fx::smram_changed(bool enabled, bool open, bool closed) {
    if (closed) log.info("D_CLS is set: data accesses in SMM reach SMRAM all the same");
    memory_.set_smram(enabled, open);
}

std::string PcI440fx::ide_path(unsigned position, BoardConfig::Ide::Kind) {
    return "/pci@i0cf8/ide@1,1/drive@" + std::to_string(position / 2) + "/disk@" + std::to_string(position % 2);
}

std::string PcI440fx::floppy_path(unsigned drive) {
    return "/pci@i0cf8/isa@1/fdc@03f0/floppy@" + std::to_string(drive);
}
}  // namespace calque
