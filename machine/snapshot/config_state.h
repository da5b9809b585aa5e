// A machine's configuration as snapshots and recordings carry it: what it is made of, the ROMs and what the firmware is told, and by what
// to know the images of its drives again.
#pragma once
#include <vector>

#include "machine/block/identity.h"
#include "machine/config.h"

namespace calque {

class SectionReader;
class SectionWriter;

struct SavedConfig {
    MachineConfig config;
    std::vector<ImageIdentity> images;   // of disks, CD-ROM drives, floppy drives; empty ones too
    std::vector<BlockImage*> embed;      // of the same, what is to be embedded; nullptr, or nothing behind the end: is not
    unsigned serial_ports = 0, parallel_ports = 0;
    bool debugcon = false;
};

Result<void> write_config(SectionWriter&, const SavedConfig&);
Result<SavedConfig> read_config(SectionReader&);
/// Takes from `host` what is not saved: the executor, sinks, the clock, and images' names where it has any. `whose` names the file, for
/// messages.
Result<void> adopt(SavedConfig&, MachineConfig host, const std::string& whose);
/// Are the images what they were, and embedded ones whole? Reads much of them.
Result<void> check_images(const SavedConfig&, const std::string& whose);
/// Can what happened to the one happen to the other? Media of drives, and where ports lead, may differ.
bool same_machine(const SavedConfig&, const MachineConfig&);
}  // namespace calque
