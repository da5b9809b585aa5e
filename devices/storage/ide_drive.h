// What every device on an IDE cable has: the command block registers, a data buffer, INTRQ and DMARQ
// (ATA/ATAPI-6, T13 1410D, "Register interface" and "Protocols"). AtaDisk and AtapiCdrom derive from it.
#pragma once
#include <span>
#include <vector>

#include "support/bus.h"
#include "support/clock.h"

namespace calque {

/// The host's end of the cable: hears when a drive may have changed INTRQ or DMARQ.
class IdeHost {
public:
    virtual ~IdeHost() = default;
    virtual void drive_changed() = 0;
};

class IdeDrive : public Device {
public:
    // Command block registers by their offset from 1F0h.
    enum Register : u8 { kData, kError, kSectorCount, kLbaLow, kLbaMid, kLbaHigh, kDevice, kStatus };
    static constexpr u8 kFeatures = kError, kCommand = kStatus;
    enum StatusBit : u8 { ERR = 0x01, DRQ = 0x08, DSC = 0x10, DF = 0x20, DRDY = 0x40, BSY = 0x80 };
    enum ErrorBit : u8 { ABRT = 0x04, IDNF = 0x10, UNC = 0x40, WP = 0x40 };

    explicit IdeDrive(Clock&);
    void attach(IdeHost* host) { host_ = host; }

    /// Registers 1 to 7; reading Status here does not acknowledge the interrupt.
    u8 read_register(u8 reg, bool hob) const;
    /// Registers 1 to 6. A busy drive ignores the write.
    void write_register(u8 reg, u8 value);
    void write_command(u8 opcode);
    u16 read_data();
    void write_data(u16 value);
    /// The host has read the Status register.
    void acknowledge();
    bool intrq() const { return intrq_; }
    bool busy() const { return status_ & BSY; }

    /// SRST in the device control register goes up, and down again.
    void software_reset(bool asserted);
    /// EXECUTE DEVICE DIAGNOSTIC reaches both drives; only device 0 interrupts.
    void diagnose(bool interrupt);

    // Bus-master side. While dmarq() is true, dma_window() is what the drive offers (to memory) or wants (from memory).
    bool dmarq() const { return transfer_ == Transfer::dma_in || transfer_ == Transfer::dma_out; }
    bool dma_to_memory() const { return transfer_ == Transfer::dma_in; }
    std::span<u8> dma_window() { return {buffer_.data() + pos_, len_ - pos_}; }
    void dma_moved(size_t bytes);

    void reset() override;
    void state(StateIO&) override;  // derived classes call it first

protected:
    enum class Transfer : u8 { none, pio_in, pio_out, dma_in, dma_out };
    static constexpr size_t kBufferSize = 64 * kKiB;
    static constexpr Time kCommandTime = 20'000;  // a command that moves no data
    static constexpr Time kAccessTime = 60'000;   // finding the first sector
    static constexpr Time kByteTime = 4;          // media and cable
    static constexpr Time kResetTime = 500'000;
    // Steps of the base class; derived classes number theirs from kFirstOwnStep.
    enum Step : u8 { kNoStep, kFinish, kResetDone, kFirstOwnStep };

    virtual void execute(u8 opcode) = 0;
    /// True for a command that is taken even while BSY is set (DEVICE RESET).
    virtual bool interrupts_busy(u8) const { return false; }
    virtual void step(u8 step) = 0;          // a delay started by wait() is over
    virtual void transfer_done(Transfer) = 0;  // the host has moved the last byte of the buffer
    virtual void signature() = 0;            // registers after reset or diagnostic
    virtual void reset_command_state() = 0;  // any reset: forget the command in progress

    /// BSY until `delay` has passed, then step(next).
    void wait(u8 next, Time delay);
    /// Ends a command after the usual delay; `error` 0 means success.
    void finish_later(u8 error = 0, Time delay = kCommandTime);
    void finish_now(u8 error, u8 extra_status = 0);
    /// Offers or asks for `bytes` bytes of the buffer, beginning at `from`.
    void start_transfer(Transfer, size_t bytes, bool interrupt, size_t from = 0);
    void set_intrq(bool level);
    void stop_transfer() { transfer_ = Transfer::none, pos_ = len_ = 0; }
    static Time byte_time(size_t bytes) { return bytes * kByteTime; }

    Clock& clock_;
    std::vector<u8> buffer_;
    u8 features_ = 0, sector_count_ = 0, lba_low_ = 0, lba_mid_ = 0, lba_high_ = 0, device_ = 0;
    // "Previous content" of the two-deep registers that 48-bit commands use.
    u8 hob_features_ = 0, hob_sector_count_ = 0, hob_lba_low_ = 0, hob_lba_mid_ = 0, hob_lba_high_ = 0;
    u8 status_ = 0, error_ = 0;
    Transfer transfer_ = Transfer::none;
    u32 pos_ = 0, len_ = 0;

private:
    void expire();
    void reset_done();
    IdeHost* host_ = nullptr;
    u8 step_ = kNoStep, result_ = 0;
    bool intrq_ = false, interrupt_after_reset_ = false;
    Timer timer_;
};
}  // namespace calque
