// From a configuration to a machine: everything that can fail because of the outside fails here, in a sentence.
#include <unistd.h>

#include <algorithm>

#include "bios/direct_boot.h"
#include "bios/firmware.h"
#include "bios/rom_search.h"
#include "cpu/model.h"
#include "machine/block/journal_image.h"
#include "machine/block/overlay_image.h"
#include "machine/block/raw_image.h"
#include "machine/machine.h"
#include "machine/snapshot/embedded_image.h"

namespace calque {
namespace {
constexpr u64 kLeastMemory = kMiB;

Result<void> check_memory(u64 bytes) {
    const auto host = static_cast<u64>(::sysconf(_SC_PHYS_PAGES)) * static_cast<u64>(::sysconf(_SC_PAGESIZE));
    const auto mib = [](u64 n) { return std::to_string(n / kMiB) + " MiB"; };
    if (bytes < kLeastMemory) return Error{"the guest needs at least " + mib(kLeastMemory) + " of memory (see --memory)"};
    if (bytes % kMiB) return Error{"the size of memory must be a whole number of MiB (see --memory)"};
    if (bytes > host) return Error{"the guest cannot have " + mib(bytes) + " of memory: this host has " + mib(host) + " (see --memory)"};
    return {};
}
}  // namespace

// The processor is made before the board and wants to know whom to ask for interrupt vectors.
struct Machine::Proxy final : IntAck, ApicEoi, EdgeLine {
    PcI440fx* board = nullptr;
    u8 acknowledge() override { return board->acknowledge(); }
    void eoi(u8 vector) override { board->eoi(vector); }
    void trigger() override { board->ferr().trigger(); }
};

Machine::Machine(const MachineConfig& config)
    : config_{config}, proxy_{std::make_unique<Proxy>()}, gate_{[this] { return icount(); }, [this] { settle(); }, [this](const GateEvent& e) { apply(e); }},
      pacer_{config.host_now ? config.host_now : steady_host_clock()} {}

Machine::~Machine() {
    clock_.on_earlier_deadline = nullptr;
    if (memory_) memory_->on_change = nullptr, memory_->on_memory_write = nullptr;
}

Result<std::unique_ptr<Machine>> Machine::create(const MachineConfig& config) {
    std::unique_ptr<Machine> machine{new Machine{config}};
    if (auto r = machine->build(); !r) return r.error();
    return machine;
}

Result<void> Machine::build() {
    if (auto r = check_memory(config_.memory); !r) return r;
    BoardConfig board;
    if (auto r = find_roms(board); !r) return r;
    board.rtc_epoch = config_.rtc_epoch;
    board.serial = config_.serial;
    board.parallel = config_.parallel;
    board.debugcon = config_.debugcon;
    board.firmware_log = config_.firmware_log;
    board.debug_exit = config_.debug_exit;
    if (auto r = open_images(board); !r) return r;

    auto memory = PhysMap::create(config_.memory);
    if (!memory) return memory.error();
    memory_ = std::move(*memory);
    if (auto r = make_cpu(); !r) return r;
    const BoardEvents events{[this] { requests_.hard_reset = true, cpu_->request_stop(); },
                             [this] { requests_.soft_reset = true, cpu_->request_stop(); },
                             [this] { requests_.power_off = true, cpu_->request_stop(); },
                             [this](u32 value) { requests_.debug_exit = true, exit_value_ = value, cpu_->request_stop(); }};
    board_ = std::make_unique<PcI440fx>(board, *memory_, io_, clock_,
                                        BoardPins{cpu_->intr(), cpu_->nmi(), cpu_->smi(), cpu_->ignne(), cpu_->apic_bus()}, events);
    proxy_->board = board_.get();
    memory_->on_change = [this] { cpu_->map_changed(); };
    memory_->on_memory_write = [this](const u8* host, size_t size) { cpu_->memory_changed(host, size); };
    clock_.on_earlier_deadline = [this](Time t) { on_earlier_deadline(t); };
    if (auto r = fill_firmware(board); !r) return r;
    board_->reset();
    cpu_->reset();
    requests_ = {};
    pacer_.start(clock_.now());
    return {};
}

Result<void> Machine::find_roms(BoardConfig& board) {
    if (!config_.firmware) {
        auto bios = find_system_bios(config_.bios);
        if (!bios) return bios.error();
        auto vga_bios = find_vga_bios(config_.vga_bios);
        if (!vga_bios) return vga_bios.error();
        board.bios = std::move(bios->bytes);
        board.vga_bios = std::move(vga_bios->bytes);
    } else {
        board.bios = config_.firmware->bios, board.vga_bios = config_.firmware->vga_bios;
    }
    roms_ = {board.bios, board.vga_bios};
    return {};
}

Result<void> Machine::make_cpu() {
    auto model = parse_cpu_model(config_.cpu_model.empty() ? "default" : config_.cpu_model);
    if (!model) return Error{"--cpu: " + model.error().message};
    cpu_model_ = std::make_unique<CpuModel>(std::move(*model));
    jit::EngineOptions engine;
    engine.jit = config_.jit;
    engine.warm = config_.warm;
    engine.note_bytes = config_.note_code;
    engine.disable = config_.jit_disable;
    if (auto r = jit::Engine::know_switches(engine.disable); !r) return r;
    cpu_ = std::make_unique<Cpu>(*cpu_model_, CpuWiring{*memory_, io_, *proxy_, clock_, proxy_.get(), &smm_pin_, proxy_.get()}, engine);
    return {};
}

Result<BlockImage*> Machine::open_image(ImageConfig config, const std::string& what) {
    if (config.path.empty()) return static_cast<BlockImage*>(nullptr);
    config.snapshot |= (config_.keep_images || config.embedded) && !config.read_only;
    auto image = config.embedded ? EmbeddedImage::open(config.embedded) : RawImage::open(config.path, config.read_only || config.snapshot);
    if (!image) return Error{image.error().message};
    if ((*image)->size() == 0) return Error{"the " + what + " '" + config.path + "' is empty"};
    if (config.snapshot) image = OverlayImage::open(std::move(*image));
    if (!image) return Error{image.error().message};
    images_.push_back({config, std::make_unique<JournalImage>(std::move(*image))});
    return images_.back().image.get();
}

// Disks take the IDE positions in order; CD-ROM drives come after, the first as secondary master as most machines have it.
Result<void> Machine::open_images(BoardConfig& board) {
    using Kind = BoardConfig::Ide::Kind;
    if (config_.disks.size() + config_.cdroms.size() > board.ide.size())
        return Error{"there are " + std::to_string(config_.disks.size() + config_.cdroms.size()) + " disks and CD-ROM drives, and only 4 fit"};
    if (config_.floppies.size() > board.floppy.size()) return Error{"there are more than 2 floppy drives"};
    if (config_.serial.size() > 4) return Error{"there are more than 4 serial ports"};
    const auto place = [&](unsigned position, Kind kind, const ImageConfig& image, const char* what) -> Result<void> {
        while (board.ide[position].kind != Kind::none) position = (position + 1) % 4;
        auto opened = open_image(image, what);
        if (!opened) return opened.error();
        board.ide[position] = {kind, *opened};
        if (kind == Kind::disk) disk_images_.push_back(*opened);
        boot_paths_[kind == Kind::disk ? 0 : 1].push_back(PcI440fx::ide_path(position, kind));
        return {};
    };
    boot_paths_.assign(3, {});
    for (unsigned n = 0; n < config_.disks.size(); ++n)
        if (auto r = place(n == 2 && !config_.cdroms.empty() ? 3 : n, Kind::disk, config_.disks[n], "disk"); !r) return r;
    for (const ImageConfig& cd : config_.cdroms) {
        ImageConfig image = cd;
        image.read_only = true, image.snapshot = false;
        if (auto r = place(2, Kind::cdrom, image, "CD-ROM"); !r) return r;
    }
    for (unsigned n = 0; n < config_.floppies.size(); ++n) {
        auto opened = open_image(config_.floppies[n], "floppy disk");
        if (!opened) return opened.error();
        board.floppy[n] = {true, *opened, static_cast<FloppyType>(config_.floppy_types[n])};
        boot_paths_[2].push_back(PcI440fx::floppy_path(n));
    }
    return {};
}

Result<void> Machine::fill_firmware(const BoardConfig& board) {
    if (config_.firmware) {
        for (const auto& [key, bytes] : config_.firmware->items) board_->fw_cfg().add_item(key, bytes);
        for (const auto& [name, bytes] : config_.firmware->files) board_->fw_cfg().add_file(name, bytes);
        return {};
    }
    FirmwareConfig firmware;
    firmware.acpi = {.cpus = board.cpus, .low_ram = memory_->low_ram(), .pm_base = PcI440fx::kPmBase, .gpe0_base = PcI440fx::kGpe0,
                     .acpi_enable = PcI440fx::kAcpiEnable, .acpi_disable = PcI440fx::kAcpiDisable,
                     .serial_ports = static_cast<unsigned>(board.serial.size()),
                     .parallel_ports = static_cast<unsigned>(board.parallel.size()),
                     .floppy = board.floppy[0].present || board.floppy[1].present};
    firmware.smbios = {.low_ram = memory_->low_ram(), .high_ram = memory_->high_ram(), .cpus = board.cpus,
                       .cpu_name = cpu_model_->brand.empty() ? cpu_model_->name : cpu_model_->brand};
    firmware.boot_menu = config_.boot_menu;
    const std::string order = config_.boot_order.empty() ? "cda" : config_.boot_order;
    for (const char letter : order) {
        const size_t kind = letter == 'c' ? 0 : letter == 'd' ? 1 : letter == 'a' ? 2 : 3;
        if (kind == 3) return Error{std::string{"there is no boot device '"} + letter + "'; --boot takes a (floppy), c (disk) and d (CD-ROM)"};
        firmware.boot_paths.insert(firmware.boot_paths.end(), boot_paths_[kind].begin(), boot_paths_[kind].end());
    }
    firmware.boot_only_listed = !config_.boot_order.empty();
    FwCfgItems kernel;
    if (!config_.kernel.empty()) {
        const KernelRequest request{config_.kernel, config_.initrd, config_.cmdline, memory_->low_ram()};
        if (auto r = add_kernel(kernel, request, firmware.boot_paths); !r) return r;
    } else if (!config_.initrd.empty() || !config_.cmdline.empty()) {
        return Error{"--initrd and --append need a --kernel"};
    }
    FwCfgItems items = firmware_items(firmware);
    items.items.merge(kernel.items), items.files.merge(kernel.files);
    for (auto& [key, bytes] : items.items) board_->fw_cfg().add_item(key, std::move(bytes));
    for (auto& [name, bytes] : items.files) board_->fw_cfg().add_file(name, std::move(bytes));
    return {};
}
}  // namespace calque
