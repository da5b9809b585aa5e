// A hard disk with the ATA/ATAPI-6 command set (T13 1410D): PIO, multiple, DMA, CHS, LBA28 and LBA48.
#pragma once
#include <string>

#include "devices/storage/ide_drive.h"
#include "support/host.h"

namespace calque {

class AtaDisk final : public IdeDrive {
public:
    struct Identity {
        std::string model = "CALQUE HARDDISK", serial = "CQ00000001", firmware = "1.0";
    };
    /// The image's size is rounded up to whole sectors; what lies beyond it reads as zeros.
    AtaDisk(Clock&, BlockImage&, Identity);
    AtaDisk(Clock& clock, BlockImage& image) : AtaDisk{clock, image, Identity{}} {}

    u64 sectors() const { return sectors_; }
    struct Geometry {
        u16 cylinders;
        u8 heads, sectors;
    };
    /// The default CHS translation, as IDENTIFY DEVICE words 1, 3 and 6 report it.
    Geometry geometry() const { return default_; }

    void reset() override;
    void state(StateIO&) override;

private:
    enum OwnStep : u8 { kReadPio = kFirstOwnStep, kAskPio, kWritePio, kReadDma, kAskDma, kWriteDma, kDmaDone,
                        kOfferBuffer, kAskBuffer, kVerify, kFlush };
    enum class Power : u8 { active, idle, standby, sleep };
    enum class Addressing : u8 { chs, lba28, lba48 };
    static constexpr unsigned kSector = 512, kMaxMultiple = 16, kDmaSectors = kBufferSize / kSector;

    void execute(u8 opcode) override;
    void step(u8 step) override;
    void transfer_done(Transfer) override;
    void signature() override;
    void reset_command_state() override;

    bool execute_media(u8 opcode);
    bool execute_power(u8 opcode);
    void execute_other(u8 opcode);
    void begin(u8 first_step, bool ext, unsigned block, bool writes = false);
    bool decode_address(bool ext);
    void report_address(u64 lba);
    void initialize_parameters();
    void seek();
    void set_multiple();
    void set_features();
    bool set_transfer_mode(u8 mode);
    void smart();
    void smart_data();
    void native_max(bool ext);
    void identify();
    void identify_features(u8* words) const;
    void offer_buffer();
    void media_error(u8 error, u8 status);
    bool read_media(u64 lba, u32 sectors);
    bool write_media(u64 lba, u32 sectors);
    void read_step(Transfer how, u32 most);
    void ask_step(Transfer how, u32 most);
    void write_step(Transfer how, u32 most);
    void verify_step();

    BlockImage& image_;
    Identity identity_;
    u64 sectors_;
    Geometry default_, current_;
    u8 multiple_ = 0;           // 0: multiple commands are disabled
    u8 block_ = 1;              // sectors per DRQ in the command in progress
    u8 udma_ = 0, mwdma_ = 0;   // selected mode plus one; 0: none
    bool write_cache_ = true, look_ahead_ = true, smart_enabled_ = true, smart_autosave_ = true, keep_settings_ = false;
    Power power_ = Power::active;
    Addressing addressing_ = Addressing::lba28;
    bool buffer_command_ = false;  // the PIO transfer is of the buffer, not of the media
    u64 lba_ = 0;               // next sector of the command in progress
    u32 left_ = 0, chunk_ = 0;  // sectors still to do; sectors in the buffer
};
}  // namespace calque
