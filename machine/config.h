// What a whole machine is made of, in the user's terms.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "machine/host_clock.h"
#include "support/host.h"
#include "support/types.h"

namespace calque {

class EmbeddedImage;

enum class ClockMode : u8 {
    fixed,
    host,
    replay,   // of a recording that was made with the host's clock: all idle time is in it
};

struct ImageConfig {
    std::string path;       // empty: a drive without a medium
    bool read_only = false;
    bool snapshot = false;  // changes are kept in a file without a name and lost at the end
    std::shared_ptr<const EmbeddedImage> embedded = {};   // what the snapshot or recording has of it, instead of the file
};

/// What a machine is given that comes out of files: the ROMs, and what the firmware is told.
struct FirmwareImages {
    std::vector<u8> bios, vga_bios;
    std::map<u16, std::vector<u8>> items;
    std::map<std::string, std::vector<u8>, std::less<>> files;
    bool operator==(const FirmwareImages&) const = default;
};

struct MachineConfig {
    u64 memory = 512 * kMiB;
    std::string cpu_model;        // empty: the default
    bool jit = true;
    u32 warm = 12;                // executions before translating
    std::vector<std::string> jit_disable;
    bool note_code = false;       // jit::EngineOptions::note_bytes
    std::string bios, vga_bios;   // file names; empty: search
    std::vector<ImageConfig> disks, cdroms, floppies;
    std::string boot_order;       // letters a, c, d; empty: whatever is there
    bool boot_menu = false;
    std::string kernel, initrd, cmdline;
    std::vector<CharSink*> serial, parallel;
    CharSink* debugcon = nullptr;
    CharSink* firmware_log = nullptr;
    bool debug_exit = false;
    bool keep_images = false;     // no image is written, as if all had `snapshot`
    bool embed_images = false;    // save() and recordings have the images' contents
    bool reboot = true;           // false: a reset ends the run
    ClockMode clock = ClockMode::fixed;
    HostNow host_now;             // for ClockMode::host
    std::array<u8, 2> floppy_types{};  // FloppyType; 0: what the image needs
    std::shared_ptr<const FirmwareImages> firmware;   // instead of the files named above
    i64 rtc_epoch = 1'704'067'200;  // 2024-01-01 00:00 UTC; with the host's clock, the front end gives the time
};
}  // namespace calque
