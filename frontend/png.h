// Pictures as PNG.
#pragma once
#include <string>

#include "support/frame.h"
#include "support/result.h"

namespace calque {
Result<std::vector<u8>> encode_png(const Frame&);
/// Replaces the file at `path` whole, or leaves it as it was.
Result<void> write_png(const std::string& path, const Frame&);
}  // namespace calque
