// Reading the files that a user names. Every failure is a sentence with the file's name in it.
#pragma once
#include <string>

#include "bios/fw_cfg_items.h"
#include "support/result.h"

namespace calque {

/// The whole of a regular file of at most `limit` bytes. `what` names its role: "kernel", "BIOS image".
Result<Bytes> read_host_file(const std::string& path, const std::string& what, u64 limit);
}  // namespace calque
