// Just enough of ELF ("Tool Interface Standard: Executable and Linking Format") to load a kernel. Untrusted input.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "bios/fw_cfg_items.h"
#include "support/result.h"

namespace calque {

struct ElfSegment {
    u64 file_offset, file_size;  // inside the file
    u64 address, size;           // physical; size >= file_size
};

struct ElfSection {
    u64 file_offset, size, alignment;
    bool allocated;              // part of a segment
    bool in_file;                // has contents
};

struct ElfImage {
    bool wide = false;           // ELF64
    u64 entry = 0;               // physical, if the entry lies in a segment
    std::vector<ElfSegment> segments;
    std::vector<ElfSection> sections;
    Bytes section_headers;       // as in the file
    u32 section_header_size = 0, section_names = 0;
};

bool is_elf(std::span<const u8> file);
/// An x86 executable; the error says what is wrong, without the file's name.
Result<ElfImage> parse_elf(std::span<const u8> file);
}  // namespace calque
