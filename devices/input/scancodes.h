// Scan codes of a 101/102-key keyboard (IBM PS/2 Hardware Interface Technical Reference, "Keyboards") and the 8042's
// translation of set 2 into set 1.
#pragma once
#include <array>

#include "support/types.h"

namespace calque {

struct ScanCode {
    u8 set2 = 0;        // make code of set 2; 0: the keyboard has no such key
    bool e0 = false;    // prefixed in sets 1 and 2
    u8 set3 = 0;        // 0: not in set 3
};
/// By HID usage.
const ScanCode& scan_code(u8 usage);
/// One byte of set 2 as set 1, F0h excluded.
u8 translate_to_set1(u8 set2);
}  // namespace calque
