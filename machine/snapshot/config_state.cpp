#include "machine/snapshot/config_state.h"

#include <algorithm>

#include "machine/snapshot/embedded_image.h"
#include "machine/snapshot/sections.h"
#include "support/state_io.h"

namespace calque {
namespace {
constexpr u64 kConfigLimit = kMiB;
constexpr u64 kPart = kMiB;                  // firmware is saved in parts, so that no length has to be believed
constexpr u64 kFirmwareLimit = 1024 * kMiB;  // kernel and initial RAM disk are in it
constexpr size_t kMostDrives = 8, kMostBlobs = 512;

void state(StateIO& s, ImageConfig& i) { s(i.path, i.read_only, i.snapshot); }

void drives(StateIO& s, std::vector<ImageConfig>& list) {
    u64 n = list.size();
    s(n);
    if (s.loading() && n > kMostDrives) return s.fail();
    list.resize(n);
    for (ImageConfig& i : list) state(s, i);
}

void state(StateIO& s, SavedConfig& saved) {
    MachineConfig& c = saved.config;
    s.version(1);
    s(c.memory, c.cpu_model);
    drives(s, c.disks), drives(s, c.cdroms), drives(s, c.floppies);
    s(c.floppy_types, saved.images, saved.serial_ports, saved.parallel_ports, saved.debugcon, c.debug_exit, c.rtc_epoch);
    s(c.bios, c.vga_bios, c.boot_order, c.boot_menu, c.kernel, c.initrd, c.cmdline);   // for people: the firmware section has what came of them
}

struct Blob {
    std::string name;   // bios, vga_bios, #number, or a file's behind a slash
    u64 size = 0;
    void state(StateIO& s) { s(name, size); }
};

void write_blob(SectionWriter& out, const Blob& blob, const std::vector<u8>& bytes) {
    StateIO s = StateIO::saver();
    Blob b = blob;
    b.size = bytes.size();
    s(b);
    out.add("blob", 1, 0, s);
    for (u64 at = 0; at < bytes.size(); at += kPart) out.add("part", 1, at, std::span{bytes}.subspan(at, std::min(kPart, bytes.size() - at)));
}
}  // namespace

Result<void> write_config(SectionWriter& out, const SavedConfig& given) {
    SavedConfig saved = given;
    saved.serial_ports = static_cast<unsigned>(given.config.serial.size()), saved.parallel_ports = static_cast<unsigned>(given.config.parallel.size());
    saved.debugcon = given.config.debugcon != nullptr;
    StateIO s = StateIO::saver();
    state(s, saved);
    out.add("config", 1, 0, s);
    const FirmwareImages& f = *given.config.firmware;
    write_blob(out, {"bios"}, f.bios), write_blob(out, {"vga_bios"}, f.vga_bios);
    for (const auto& [key, bytes] : f.items) write_blob(out, {std::string{"#"} + std::to_string(key)}, bytes);
    for (const auto& [name, bytes] : f.files) write_blob(out, {std::string{"/"}.append(name)}, bytes);
    out.add("made", 1, 0, std::span<const u8>{});
    for (size_t n = 0; n < saved.embed.size(); ++n)
        if (saved.embed[n])
            if (auto r = EmbeddedImage::write(out, n, saved.images[n], *saved.embed[n]); !r) return r;
    return out.result();
}

namespace {
ImageConfig* image(MachineConfig& c, u64 n) {
    for (auto* list : {&c.disks, &c.cdroms, &c.floppies}) {
        if (n < list->size()) return &(*list)[n];
        n -= list->size();
    }
    return nullptr;
}

/// What follows "made", up to the first section that belongs to no image.
Result<void> read_images(SectionReader& in, MachineConfig& c) {
    std::shared_ptr<EmbeddedImage> current;
    for (u64 behind = in.position(); in.next() == SectionReader::Next::section; behind = in.position()) {
        auto taken = EmbeddedImage::take(in, current);
        if (!taken) return taken.error();
        if (!*taken) return in.seek(behind), Result<void>{};
        if (!EmbeddedImage::begins(in)) continue;
        ImageConfig* const to = image(c, in.section().index);
        if (!to || to->path.empty() || to->embedded) return in.damaged("it has an image of no drive");
        to->embedded = current;
    }
    return in.damaged("it ends in the middle");
}
}  // namespace

Result<SavedConfig> read_config(SectionReader& in) {
    const auto expect = [&](const char* name) -> Result<void> {
        const auto next = in.next();
        if (next == SectionReader::Next::cut) return in.damaged("it ends in the middle");
        if (name && (next != SectionReader::Next::section || !in.is(name))) return in.damaged("'" + std::string{name} + "' is missing in it");
        return {};
    };
    if (auto r = expect("config"); !r) return r.error();
    auto bytes = in.read(kConfigLimit);
    if (!bytes) return bytes.error();
    SavedConfig saved;
    StateIO s = StateIO::loader(*bytes);
    state(s, saved);
    const MachineConfig& c = saved.config;
    const bool sane = s.complete() && saved.images.size() == c.disks.size() + c.cdroms.size() + c.floppies.size() && saved.serial_ports <= 4 && saved.parallel_ports <= 3 &&
                      std::all_of(c.floppy_types.begin(), c.floppy_types.end(), [](u8 t) { return t <= 5; });
    if (!sane) return in.unknown("the machine that it describes is none that this version of Calque knows");
    auto firmware = std::make_shared<FirmwareImages>();
    u64 total = 0;
    for (size_t n = 0;; ++n) {
        if (auto r = expect(nullptr); !r) return r.error();
        if (in.is("made")) {
            if (auto r = in.read(0); !r) return r.error();
            break;
        }
        if (!in.is("blob") || n >= kMostBlobs) return in.damaged("'made' is missing in it");
        auto head = in.read(kConfigLimit);
        if (!head) return head.error();
        StateIO h = StateIO::loader(*head);
        Blob blob;
        h(blob);
        total += std::min(blob.size, kFirmwareLimit);
        if (!h.complete() || total > kFirmwareLimit || blob.name.size() > 64) return in.damaged("its firmware is in disorder");
        std::vector<u8> content;
        while (content.size() < blob.size) {
            if (auto r = expect("part"); !r) return r.error();
            auto part = in.read(std::min(kPart, blob.size - content.size()));
            if (!part) return part.error();
            if (part->empty()) return in.damaged("its firmware is in disorder");
            content.insert(content.end(), part->begin(), part->end());
        }
        if (blob.name == "bios") firmware->bios = std::move(content);
        else if (blob.name == "vga_bios") firmware->vga_bios = std::move(content);
        else if (blob.name.starts_with("#")) firmware->items[static_cast<u16>(std::strtoul(blob.name.c_str() + 1, nullptr, 10))] = std::move(content);
        else if (blob.name.starts_with("/") && blob.name.size() <= 56) firmware->files[blob.name.substr(1)] = std::move(content);
        else return in.damaged("its firmware is in disorder");
    }
    if (firmware->bios.empty() || firmware->bios.size() % (64 * kKiB) || firmware->bios.size() > 16 * kMiB || firmware->vga_bios.size() > 256 * kKiB || firmware->vga_bios.size() < 512)
        return in.damaged("its firmware is in disorder");
    saved.config.firmware = std::move(firmware);
    if (auto r = read_images(in, saved.config); !r) return r.error();
    return saved;
}

namespace {
Result<void> adopt_names(std::vector<ImageConfig>& saved, const std::vector<ImageConfig>& given, const char* what, const std::string& whose) {
    if (given.size() > saved.size()) return Error{whose + " is of a machine with " + std::to_string(saved.size()) + " " + what + (saved.size() == 1 ? "" : "s") + ", not " + std::to_string(given.size())};
    for (size_t n = 0; n < given.size(); ++n)
        if (!given[n].path.empty() && !saved[n].path.empty()) saved[n].path = given[n].path, saved[n].embedded.reset();
    return {};
}

Result<void> check_images(const std::vector<ImageConfig>& saved, const char* what, const ImageIdentity*& id, const std::string& whose) {
    for (const ImageConfig& image : saved) {
        const ImageIdentity& then = *id++;
        if (image.path.empty()) continue;
        if (image.embedded) {
            if (auto r = image.embedded->check(); !r) return r;
            continue;
        }
        auto now = identify_image(image.path);
        if (!now) return now.error();
        if (!then.matches(*now))
            return Error{"the " + std::string{what} + " '" + image.path + "' is not what it was when " + whose + " was made" +
                         (then.size == now->size && then.hash == now->hash ? " (it has been written to or copied since; a copy must keep the time of its change)" : "")};
    }
    return {};
}
}  // namespace

Result<void> check_images(const SavedConfig& saved, const std::string& whose) {
    const MachineConfig& c = saved.config;
    const ImageIdentity* id = saved.images.data();
    if (auto r = check_images(c.disks, "disk", id, whose); !r) return r;
    if (auto r = check_images(c.cdroms, "CD-ROM", id, whose); !r) return r;
    return check_images(c.floppies, "floppy disk", id, whose);
}

Result<void> adopt(SavedConfig& saved, MachineConfig host, const std::string& whose) {
    MachineConfig& c = saved.config;
    if (auto r = adopt_names(c.disks, host.disks, "disk", whose); !r) return r;
    if (auto r = adopt_names(c.cdroms, host.cdroms, "CD-ROM", whose); !r) return r;
    if (auto r = adopt_names(c.floppies, host.floppies, "floppy disk", whose); !r) return r;
    if (host.serial.size() < saved.serial_ports || host.parallel.size() < saved.parallel_ports)
        return Error{whose + " is of a machine with " + std::to_string(saved.serial_ports) + " serial and " + std::to_string(saved.parallel_ports) + " parallel ports"};
    host.serial.resize(saved.serial_ports), host.parallel.resize(saved.parallel_ports);
    c.serial = host.serial, c.parallel = host.parallel;
    c.debugcon = saved.debugcon ? host.debugcon : nullptr;
    c.firmware_log = host.firmware_log;
    c.jit = host.jit, c.warm = host.warm, c.jit_disable = host.jit_disable, c.note_code = host.note_code;
    c.keep_images = host.keep_images, c.embed_images = host.embed_images;
    c.reboot = host.reboot, c.clock = host.clock, c.host_now = host.host_now;
    return {};
}

bool same_machine(const SavedConfig& saved, const MachineConfig& b) {
    const MachineConfig& a = saved.config;
    return a.memory == b.memory && a.cpu_model == b.cpu_model && a.disks.size() == b.disks.size() && a.cdroms.size() == b.cdroms.size() &&
           a.floppies.size() == b.floppies.size() && a.floppy_types == b.floppy_types && saved.serial_ports == b.serial.size() &&
           saved.parallel_ports == b.parallel.size() && a.debug_exit == b.debug_exit && a.rtc_epoch == b.rtc_epoch && *a.firmware == *b.firmware;
}
}  // namespace calque
