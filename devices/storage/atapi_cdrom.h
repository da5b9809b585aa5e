// A CD-ROM drive with the PACKET feature set (ATA/ATAPI-6) and the MMC-3 commands of a reader (T10 1363D).
#pragma once
#include <array>
#include <functional>
#include <string>

#include "devices/storage/ide_drive.h"
#include "support/host.h"

namespace calque {

class AtapiCdrom final : public IdeDrive {
public:
    struct Identity {
        std::string vendor = "CALQUE", product = "CD-ROM", revision = "1.0", serial = "CQ00000002";
    };
    AtapiCdrom(Clock&, Identity);
    explicit AtapiCdrom(Clock& clock) : AtapiCdrom{clock, Identity{}} {}

    /// The host closes the tray with a new medium, or an empty one (nullptr). The drive does not own the image.
    void insert(BlockImage* medium);
    /// The host opens the tray and takes the medium. False if the guest has locked it (it then sees an eject request)
    /// and the host does not insist.
    bool eject(bool force);
    bool tray_open() const { return tray_open_; }
    bool locked() const { return locked_; }
    BlockImage* medium() const { return medium_; }
    /// Called when the guest opens or closes the tray.
    std::function<void(bool open)> on_tray_moved;

    void reset() override;
    void state(StateIO&) override;

private:
    enum OwnStep : u8 { kAskPacket = kFirstOwnStep, kRunPacket, kSendData, kRefill, kComplete, kDeviceReset };
    enum Reason : u8 { kCommandData = 0x01, kToHost = 0x02 };  // C/D and I/O in the interrupt reason register
    struct Sense {
        u8 key = 0, asc = 0, ascq = 0;
        void state(StateIO&);
    };
    enum class MediaEvent : u8 { none, eject_request, new_media, removal };
    using Packet = std::array<u8, 12>;

    void execute(u8 opcode) override;
    bool interrupts_busy(u8 opcode) const override { return opcode == 0x08; }
    void step(u8 step) override;
    void transfer_done(Transfer) override;
    void signature() override;
    void reset_command_state() override;

    // ATAPI protocol
    void identify_packet_device();
    void set_features();
    void packet_command();
    void run_packet();
    u8* reply(size_t bytes);
    void send(size_t bytes, size_t allocation);
    void send_block();
    void receive(size_t bytes);
    void receive_block();
    void data_received();
    void complete();
    void fail(Sense);

    // Packet commands
    void dispatch();
    bool dispatch_media(u8 opcode);
    bool dispatch_status(u8 opcode);
    bool ready();
    void test_unit_ready();
    void request_sense();
    void inquiry();
    void read_capacity();
    void read_blocks(u32 lba, u32 count, u8 parts);
    void read_cd(bool msf);
    void refill();
    bool fetch(u32 lba, u32 count, u8* out);
    u32 sector_size() const;
    void read_toc();
    void read_sub_channel();
    void mode_sense(bool ten);
    void mode_select(bool ten);
    Sense apply_mode_pages();
    size_t mode_page(u8 page, u8 control, u8* out) const;
    void get_configuration();
    void get_event_status();
    void read_disc_information();
    void read_track_information();
    void read_dvd_structure();
    void mechanism_status();
    void set_speed();
    size_t feature(u16 code, u8* out) const;
    bool is_dvd() const;
    void put_address(u8* out, u32 lba, bool msf) const;
    void start_stop();
    void prevent_allow();
    void seek();
    void move_tray(bool open);
    u32 blocks() const;
    bool loaded() const { return medium_ && !tray_open_; }

    Identity identity_;
    BlockImage* medium_ = nullptr;
    bool tray_open_ = false, locked_ = false;
    Sense sense_{}, attention_{};    // last error; pending unit attention
    MediaEvent event_ = MediaEvent::none;
    Packet packet_{};
    bool in_packet_ = false, identify_ = false, dma_ = false;
    u32 at_ = 0, filled_ = 0;        // the buffer holds filled_ bytes; the host has been offered at_ of them
    u16 byte_limit_ = 0xFFFE;
    // READ(10), READ(12) and READ CD refill the buffer block by block.
    u32 lba_ = 0, blocks_left_ = 0;
    u8 parts_ = 0x10;                // READ CD byte 9: which parts of each sector are sent
    std::array<u8, 6> error_recovery_{};  // mode page 01h, bytes 2-7
    u16 speed_ = 0;
    u8 udma_ = 0, mwdma_ = 0;        // selected mode plus one
};
}  // namespace calque
