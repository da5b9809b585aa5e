// The bus between I/O APICs and local APICs. The CPU side implements ApicBus, an I/O APIC implements ApicEoi; neither
// knows the other's class.
#pragma once
#include "support/types.h"

namespace calque {

/// Delivery modes as encoded in redirection entries, the interrupt command register and MSI data.
enum class ApicDelivery : u8 { fixed = 0, lowest_priority = 1, smi = 2, nmi = 4, init = 5, startup = 6, ext_int = 7 };

class ApicBus {
public:
    virtual ~ApicBus() = default;
    virtual void deliver(u8 dest, bool dest_mode_logical, ApicDelivery mode, u8 vector, bool level_triggered) = 0;
};

/// Hears the EOI messages that a local APIC broadcasts for level-triggered interrupts.
class ApicEoi {
public:
    virtual ~ApicEoi() = default;
    virtual void eoi(u8 vector) = 0;
};
}  // namespace calque
