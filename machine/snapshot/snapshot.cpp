// Which parts a machine has, and the order in which they come back: time first, as devices arm their timers by it; then input, devices, and
// the interrupt controllers once more, because a device that is loaded drives its lines; the processor last, for whatever reached its pins
// meanwhile, and what its TLBs hold when the memory map is as it was.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <future>

#include "cpu/debug.h"
#include "machine/block/identity.h"
#include "machine/block/journal_image.h"
#include "machine/block/overlay_image.h"
#include "machine/machine.h"
#include "machine/snapshot/config_state.h"
#include "machine/snapshot/embedded_image.h"
#include "machine/snapshot/new_file.h"
#include "machine/snapshot/sections.h"
#include "machine/state_hash.h"
#include "support/assert.h"
#include "support/parallel.h"
#include "support/state_io.h"

namespace calque {
namespace {
constexpr u64 kStateLimit = 96 * kMiB;   // one device: video memory is the largest
constexpr u64 kRamChunk = kMiB, kOverlayPieces = 256;

std::string_view section_name(const PcI440fx::Named& d) { return std::string_view{d.name}.substr(0, kSectionName); }
}  // namespace

struct Machine::Snapshot {
    Machine& m;

    // ---- saving
    void run_state(StateIO&);
    using Save = std::function<void(std::string_view name, const StateIO&)>;
    using Load = std::function<Result<void>(std::string_view name, const std::function<void(StateIO&)>&)>;
    void each_saved(const Save&);
    void save_devices(SectionWriter&);
    void save_ram(SectionWriter&);
    void save_overlays(SectionWriter&);
    // ---- loading
    Result<void> load_state(SectionReader&, const std::function<void(StateIO&)>&);
    Result<void> each_loaded(const Load&);
    Result<void> load_devices(SectionReader&);
    Result<void> load_machine(SectionReader&);
    Result<void> find_ram(SectionReader&);
    Result<void> load_ram(const SectionReader&);
    Result<void> load_overlay(SectionReader&);
    std::vector<SectionReader::Place> chunks;   // of RAM
    i64 last_piece = -1;
    u64 last_drive = 0;
    OverlayImage* overlay(u64 drive);
};

// Hard disks, then floppy drives.
OverlayImage* Machine::Snapshot::overlay(u64 drive) {
    const u64 disks = m.disk_images_.size();
    if (drive < disks) return overlay_of(m.disk_images_[drive]);
    if (drive - disks >= m.config_.floppies.size()) return nullptr;
    return overlay_of(m.board_->floppy()->drive(static_cast<unsigned>(drive - disks)).medium());
}

// What the run loop knows besides.
void Machine::Snapshot::run_state(StateIO& s) {
    const u32 version = s.version(2);   // 1 did not say where in a recording it is
    s(m.skew_, m.resets_, m.triple_faults_, m.triple_fault_rip_, m.hopeless_, m.exit_value_);
    s(m.requests_.hard_reset, m.requests_.soft_reset, m.requests_.power_off, m.requests_.debug_exit);
    Tracing& t = m.cpu_->state().tracing;
    if (version >= 2) s(m.turns_, t.fault_at, t.faults_there, m.gate_);
}

// ---- saving

void Machine::Snapshot::save_devices(SectionWriter& out) {
    u64 index = 0;
    each_saved([&](std::string_view name, const StateIO& s) { out.add(name, 1, index++, s); });
}

void Machine::Snapshot::each_saved(const Save& out) {
    const auto part = [&](std::string_view name, const auto& save) {
        StateIO s = StateIO::saver();
        save(s);
        out(name, s);
    };
    part("run", [&](StateIO& s) { run_state(s); });
    part("clock", [&](StateIO& s) { m.clock_.state(s); });
    part("input", [&](StateIO& s) { m.input_queue_.state(s); });
    for (const PcI440fx::Named& d : m.board_->devices()) part(section_name(d), [&](StateIO& s) { d.device->state(s); });
    part("cpu", [&](StateIO& s) { m.cpu_->save_state(s); });
    part("tlb", [&](StateIO& s) { m.cpu_->translations_state(s); });
}

void Machine::Snapshot::save_ram(SectionWriter& out) {
    const std::span<const u8> ram = m.memory_->ram();
    std::vector<u64> touched;
    // Where nobody has written there is nothing to read: looking would make the host find memory for it.
    for (u64 at = 0; (at = m.memory_->next_data(at) / kRamChunk * kRamChunk) < ram.size(); at += kRamChunk) touched.push_back(at / kRamChunk);
    out.add_all("ram", 1, touched.size(), [&](size_t n) {
        const auto chunk = ram.subspan(touched[n] * kRamChunk, kRamChunk);
        return SectionWriter::Piece{touched[n], is_zero(chunk) ? chunk.first(0) : chunk};
    });
}

// Pieces behind their numbers; `index` is the drive.
void Machine::Snapshot::save_overlays(SectionWriter& out) {
    for (u64 n = 0; n < m.config_.disks.size() + m.config_.floppies.size(); ++n) {
        OverlayImage* const image = overlay(n);
        if (!image) continue;
        const std::vector<u64> pieces = image->changed_pieces();
        for (size_t first = 0; first < pieces.size(); first += kOverlayPieces) {
            StateIO s = StateIO::saver();
            std::vector<u64> numbers{pieces.begin() + static_cast<i64>(first), pieces.begin() + static_cast<i64>(std::min(pieces.size(), first + kOverlayPieces))};
            s(numbers);
            for (const u64 piece : numbers) {
                std::array<u8, OverlayImage::kPiece> bytes{};
                const u64 at = piece * OverlayImage::kPiece;
                image->read(at, std::span{bytes}.first(std::min<u64>(bytes.size(), image->size() - at)));
                s.raw(bytes.data(), bytes.size());
            }
            out.add("overlay", 1, n, s);
        }
    }
}

Result<void> Machine::save(const std::string& path) {
    auto file = NewFile::create(path);
    if (!file) return file.error();
    SectionWriter out{(*file)->fd(), path, kSnapshotMagic};
    if (auto r = save_to(out); !r) return r;
    if (auto r = out.finish(); !r) return r;
    return (*file)->commit();
}

Result<void> Machine::save_to(SectionWriter& out) {
    if (auto r = flush(); !r) return r;
    auto saved = describe();
    if (!saved) return saved.error();
    if (auto r = write_config(out, *saved); !r) return r;
    Snapshot snapshot{*this};
    snapshot.save_devices(out);
    snapshot.save_ram(out);
    snapshot.save_overlays(out);
    out.add("saved", 1, 0, std::span<const u8>{});
    return out.result();
}

Result<SavedConfig> Machine::describe() {
    SavedConfig out;
    out.config = config_;
    const auto drive = [&](ImageConfig& to, const BlockImage* medium) -> Result<void> {
        const auto found = std::find_if(images_.begin(), images_.end(), [&](const OpenImage& i) { return medium && i.image.get() == medium; });
        to = found == images_.end() ? ImageConfig{} : found->config;
        out.images.emplace_back(), out.embed.push_back(nullptr);
        if (to.path.empty()) return {};
        if (config_.embed_images || to.embedded) out.embed.back() = &unwritten(*found->image);
        if (to.embedded) return out.images.back() = to.embedded->identity(), Result<void>{};
        std::error_code error;
        if (const auto absolute = std::filesystem::absolute(to.path, error); !error) to.path = absolute.string();
        auto id = identify_image(to.path);
        if (!id) return id.error();
        out.images.back() = *id;
        return {};
    };
    for (unsigned n = 0; n < config_.disks.size(); ++n)
        if (auto r = drive(out.config.disks[n], disk_images_[n]); !r) return r.error();
    for (unsigned n = 0; n < config_.cdroms.size(); ++n)
        if (auto r = drive(out.config.cdroms[n], board_->cdrom(n)->medium()); !r) return r.error();
    for (unsigned n = 0; n < config_.floppies.size(); ++n) {
        FloppyDrive& d = board_->floppy()->drive(n);
        if (auto r = drive(out.config.floppies[n], d.medium()); !r) return r.error();
        out.config.floppy_types[n] = static_cast<u8>(d.type());
    }
    auto firmware = std::make_shared<FirmwareImages>();
    firmware->bios = roms_[0], firmware->vga_bios = roms_[1];
    const FwCfg& cfg = board_->fw_cfg();
    for (const auto& [key, bytes] : cfg.items())
        if (key != FwCfg::kFileDirectory && key < FwCfg::kFirstFile) firmware->items.emplace(key, bytes);
    for (const auto& [name, key] : cfg.files()) firmware->files.emplace(name, cfg.items().at(key));
    // Kernels and the like have numbers behind the files' too.
    for (const auto& [key, bytes] : cfg.items())
        if (key >= FwCfg::kFirstFile && std::none_of(cfg.files().begin(), cfg.files().end(), [k = key](const auto& f) { return f.second == k; }))
            firmware->items.emplace(key, bytes);
    out.config.firmware = std::move(firmware);
    return out;
}

// ---- loading

Result<void> Machine::Snapshot::load_state(SectionReader& in, const std::function<void(StateIO&)>& load) {
    auto bytes = in.read(kStateLimit);
    if (!bytes) return bytes.error();
    if (in.section().version != 1) return in.unknown("this version of Calque does not know version " + std::to_string(in.section().version) + " of its section '" + in.section().name + "'");
    StateIO s = StateIO::loader(*bytes);
    load(s);
    if (!s.complete()) return in.unknown("the state of '" + in.section().name + "' in it is not one of this machine");
    return {};
}

Result<void> Machine::Snapshot::load_devices(SectionReader& in) {
    u64 index = 0;
    const auto part = [&](std::string_view name, const std::function<void(StateIO&)>& load) -> Result<void> {
        const auto next = in.next();
        if (next == SectionReader::Next::cut) return in.damaged("it ends in the middle");
        if (next == SectionReader::Next::end || !in.is(name) || in.section().index != index) return in.damaged("'" + std::string{name} + "' is missing in it");
        ++index;
        return load_state(in, load);
    };
    auto r = each_loaded(part);
    if (r && (m.clock_.now() < m.skew_ || m.cpu_->icount() + m.skew_ != m.clock_.now())) return in.unknown("its times contradict each other");
    return r;
}

Result<void> Machine::Snapshot::each_loaded(const Load& part) {
    if (auto r = part("run", [&](StateIO& s) { run_state(s); }); !r) return r;
    const auto requests = m.requests_;
    if (auto r = part("clock", [&](StateIO& s) { m.clock_.state(s); }); !r) return r;
    if (auto r = part("input", [&](StateIO& s) { m.input_queue_.state(s); }); !r) return r;
    std::vector<std::pair<Device*, std::vector<u8>>> again;
    for (const PcI440fx::Named& d : m.board_->devices()) {
        const bool controller = d.device == &m.board_->pic(0) || d.device == &m.board_->pic(1) || d.device == &m.board_->ioapic();
        const auto load = [&](StateIO& s) {
            d.device->state(s);
            StateIO now = StateIO::saver();
            if (controller) d.device->state(now), again.emplace_back(d.device, now.bytes());
        };
        if (auto r = part(section_name(d), load); !r) return r;
    }
    for (auto& [device, bytes] : again) {
        StateIO s = StateIO::loader(bytes);
        device->state(s);
    }
    if (auto r = part("cpu", [&](StateIO& s) { m.cpu_->save_state(s); }); !r) return r;
    m.set_smm(m.cpu_->state().smm);
    if (auto r = part("tlb", [&](StateIO& s) { m.cpu_->translations_state(s); }); !r) return r;
    m.requests_ = requests;
    return {};
}

// ---- in memory

Machine::Parts Machine::save_parts() {
    Parts parts{media(), {}};
    Snapshot{*this}.each_saved([&](std::string_view, const StateIO& s) { parts.states.push_back(s.bytes()); });
    return parts;
}

// From reset, as a machine that has just been made: devices drive their lines from there. RAM and disks are the caller's, who has told the
// processor which memory is other than before.
void Machine::load_parts(const Parts& parts) {
    board_->reset();
    cpu_->reset();
    put_media(parts.media);
    size_t n = 0;
    const auto ok = Snapshot{*this}.each_loaded([&](std::string_view, const std::function<void(StateIO&)>& load) -> Result<void> {
        StateIO s = StateIO::loader(parts.states.at(n++));
        load(s);
        ASSERT(s.complete());
        return {};
    });
    ASSERT(ok);
    stopped_.reset();
    Tracing& t = cpu_->state().tracing;
    t.repeating = t.stopped = false;
    if (Debug* const debug = cpu_->state().debug) debug->moved();
    pacer_.start(clock_.now());
}

std::vector<JournalImage*> Machine::images() {
    std::vector<JournalImage*> out;
    for (const OpenImage& i : images_) out.push_back(i.image.get());
    return out;
}

Result<void> Machine::Snapshot::find_ram(SectionReader& in) {
    const u64 chunk = in.section().index;
    if (chunk >= m.memory_->ram().size() / kRamChunk || (!chunks.empty() && chunk <= chunks.back().section.index) || in.section().raw != kRamChunk)
        return in.damaged("its memory is in disorder");
    chunks.push_back(in.place());
    return {};
}

Result<void> Machine::Snapshot::load_ram(const SectionReader& in) {
    std::vector<Result<void>> results(chunks.size());
    parallel_for(chunks.size(), [&](size_t n) {
        static thread_local std::vector<u8> bytes(kRamChunk);
        results[n] = in.read_into(bytes, chunks[n]);
        if (results[n]) results[n] = m.memory_->fill(chunks[n].section.index * kRamChunk, bytes);
    });
    for (Result<void>& r : results)
        if (!r) return r;
    return {};
}

Result<void> Machine::Snapshot::load_overlay(SectionReader& in) {
    const u64 drive = in.section().index;
    OverlayImage* const image = overlay(drive);
    if (!image || drive < last_drive) return in.damaged("it has changes of a disk that keeps none");
    if (drive != last_drive) last_drive = drive, last_piece = -1;
    auto bytes = in.read(kOverlayPieces * (OverlayImage::kPiece + 8) + 8);
    if (!bytes) return bytes.error();
    StateIO s = StateIO::loader(*bytes);
    std::vector<u64> pieces;
    s(pieces);
    for (const u64 piece : pieces) {
        std::array<u8, OverlayImage::kPiece> data;
        s.raw(data.data(), data.size());
        if (!s.ok() || piece > image->size() / OverlayImage::kPiece || static_cast<i64>(piece) <= last_piece) return in.damaged("its changes of a disk are in disorder");
        last_piece = static_cast<i64>(piece);
        const u64 at = piece * OverlayImage::kPiece;
        if (!image->write(at, std::span{data}.first(std::min<u64>(data.size(), image->size() - at)))) return Error{"the changes of a disk cannot be kept; the folder that TMPDIR names may be full"};
    }
    return s.complete() ? Result<void>{} : in.damaged("its changes of a disk are in disorder");
}

Result<void> Machine::Snapshot::load_machine(SectionReader& in) {
    if (auto r = load_devices(in); !r) return r;
    for (;;) {
        const auto next = in.next();
        if (next == SectionReader::Next::cut) return in.damaged("it ends in the middle");
        if (next == SectionReader::Next::end) return in.damaged("'saved' is missing in it");
        if (in.is("saved")) {
            if (auto r = in.read(0); !r) return r.error();
            break;
        }
        const bool ram = in.is("ram");
        if ((!ram && !in.is("overlay")) || in.section().version != 1) return in.unknown("this version of Calque does not know its section '" + in.section().name + "'");
        if (auto r = ram ? find_ram(in) : load_overlay(in); !r) return r;
    }
    if (auto r = load_ram(in); !r) return r;
    m.pacer_.start(m.clock_.now());
    return {};
}

Result<std::unique_ptr<Machine>> Machine::load(const std::string& path, MachineConfig host) {
    auto in = SectionReader::open(path, kSnapshotMagic, "snapshot");
    if (!in) return in.error();
    auto machine = load_from(**in, std::move(host));
    if (!machine) return machine;
    if ((*in)->next() != SectionReader::Next::end) return (*in)->damaged("it does not end where it should");
    return machine;
}

Result<std::unique_ptr<Machine>> Machine::load_from(SectionReader& in, MachineConfig host) {
    auto saved = read_config(in);
    if (!saved) return saved.error();
    if (auto r = adopt(*saved, std::move(host), "the " + in.name()); !r) return r.error();
    auto images = std::async(std::launch::async, [&] { return check_images(*saved, "the " + in.name()); });
    auto machine = create(saved->config);
    const Result<void> loaded = machine ? Snapshot{**machine}.load_machine(in) : Result<void>{in.unknown(machine.error().message)};
    if (auto r = images.get(); !r) return r.error();
    if (!loaded) return loaded.error();
    return machine;
}
}  // namespace calque
