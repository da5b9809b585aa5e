// A machine for fuzz targets: small, with a guest of tests/machine.
#pragma once
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "machine/machine.h"
#include "tests/machine/vga_rom.h"

namespace calque::fuzz {

struct NoSink final : CharSink {
    void put(u8) override {}
};

struct FuzzMachine {
    NoSink sink;
    MachineConfig config;
    FuzzMachine() {
        config.jit = false;
        config.host_now = [] { return Time{0}; };
        config.debugcon = &sink;
        config.serial = {&sink, &sink, &sink, &sink};
        config.parallel = {&sink, &sink, &sink};
    }
    /// A disk, and a CD-ROM drive without medium; their images' contents go into the file.
    void embed(const std::string& image) {
        std::ofstream{image} << std::string(kSectors * 512, 'x');
        config.disks = {{image, false, true}}, config.cdroms = {{}};
        config.embed_images = true;
    }
    static constexpr size_t kSectors = 40;
    std::unique_ptr<Machine> make(const std::string& guest) {
        MachineConfig c = config;
        c.memory = 2 * kMiB;
        c.bios = std::string{GUESTS} + "/" + guest + ".bin";
        c.vga_bios = test::vga_rom();
        c.serial = {&sink}, c.parallel.clear();
        auto m = Machine::create(c);
        if (!m) std::fprintf(stderr, "%s\n", m.error().message.c_str()), std::abort();
        return std::move(*m);
    }
};
}  // namespace calque::fuzz
