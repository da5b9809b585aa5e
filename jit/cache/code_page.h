// What is known of guest code: blocks, the pages they stand in as one mode sees them, and the host pages behind those.
#pragma once
#include <bit>
#include <memory>
#include <vector>

#include "jit/backend.h"
#include "jit/guest.h"
#include "jit/interp/interp.h"

namespace calque::jit {

struct CodePage;

/// A block that has been lifted. It stays where it is until it is reused, which happens at safe points only.
struct BlockRecord {
    enum Kind : u8 {
        normal,    // lies in its page
        single,    // one instruction, for exact steps
        crossing,  // one instruction whose last bytes lie in another page
    };
    CodePage* page = nullptr;
    u64 rip = 0, end_rip = 0;
    u16 offset = 0, byte_count = 0, insn_count = 0;
    u16 second_bytes = 0;          // crossing: how many of byte_count lie in the second page
    const u8* second = nullptr;    // crossing: the second page
    const u32* second_entries = nullptr;  // crossing: its entries, when it was lifted
    Kind kind = normal;
    bool dead = false;             // discarded; perhaps still running
    bool stop = false;             // run() stops before it; so it is never translated
    u32 number = 0;
    u32 counter = 0;
    u32 entry = 0, link_entry = 0; // 0: not translated
    InterpBlock code;              // while not translated; crossing: always
    std::unique_ptr<u16[]> starts; // of each instruction, from rip
    std::unique_ptr<u8[]> bytes;   // what was lifted, where stores to code are not relied upon

    /// Memory has something else now.
    bool outdated() const;

    u64 rip_of(unsigned insn) const { return rip + starts[insn]; }
    u64 rip_after(unsigned insn) const { return insn + 1u < insn_count ? rip_of(insn + 1) : end_rip; }
    u16 key() const { return static_cast<u16>(offset | (kind == single ? 4096 : 0)); }
    /// Whether the bytes from instruction `first` on touch [begin, end) of the host page `page`.
    bool touches(const u8* host, unsigned begin, unsigned end, unsigned first = 0) const;
};

struct Link {
    u32 at, stub;
    u16 target;
    u32 owner;  // block number
};

/// Block numbers by key, open addressing.
class BlockIndex {
public:
    /// 0 when there is none.
    u32 find(u16 key) const {
        for (u32 n = hash(key);; ++n) {
            const Slot& s = slots_[n & mask_];
            if (s.number == 0 || s.key == key) return s.number;
        }
    }
    /// `bytes`: how many of the block's bytes lie in its page.
    void insert(u16 key, u32 number, u16 bytes);
    void erase(u16 key);
    template <class F>
    void each(F f) const {
        for (u32 n = 0; n <= mask_; ++n)
            if (slots_[n].number) f(slots_[n].number);
    }
    /// Calls f(number) for all that have bytes in [begin, end) of the page. This looks at no record: code that changes itself
    /// comes here often.
    template <class F>
    void each_in(unsigned begin, unsigned end, F f) const {
        for (u32 n = 0; n <= mask_; ++n) {
            const Slot& s = slots_[n];
            const unsigned from = s.key & 4095;
            if (s.number && from < end && begin < from + s.bytes) f(s.number);
        }
    }
    u32 size() const { return size_; }

private:
    struct Slot {
        u32 number = 0;
        u16 key = 0;
        u16 bytes = 0;
    };
    static u32 hash(u16 key) { return key * 0x9e3779b1u >> 12; }
    std::unique_ptr<Slot[]> slots_ = std::make_unique<Slot[]>(8);
    u32 mask_ = 7, size_ = 0;
};

struct HostPage;

/// The translations of one host page, at one linear page, in one mode.
struct CodePage {
    u32* entries = nullptr;   // 4096, in the cache's table memory
    const u8* host = nullptr;
    u64 linear = 0;
    Mode mode;
    u16 mode_id = 0;
    HostPage* host_page = nullptr;
    CodePage* next = nullptr;  // of the same host page
    BlockIndex blocks;
    std::vector<Link> links;
    std::unique_ptr<PageCuts> cuts;
};

/// One page of guest memory that has or had translations.
struct HostPage {
    const u8* host = nullptr;
    u64 granules = 0;          // 64 bytes each: those that blocks stand in
    u16 users[64] = {};        // how many blocks stand in each
    bool is_protected = false; // no write tags exist for it
    u32 blocks = 0;
    u32 idle_stores = 0;       // stores by the slow path since the last block was discarded
    CodePage* pages = nullptr;
    std::vector<u32> seconds;  // crossing blocks that end here
};

/// HostPages by address, open addressing.
class HostPageMap {
public:
    HostPage* find(const u8* host) const {
        for (u64 n = hash(host);; ++n) {
            HostPage* p = slots_[n & mask_].get();
            if (!p || p->host == host) return p;
        }
    }
    HostPage& get(const u8* host);
    void clear();
    u32 size() const { return size_; }

private:
    static u64 hash(const u8* host) { return (reinterpret_cast<u64>(host) >> 12) * 0x9e3779b97f4a7c15u >> 20; }
    std::vector<std::unique_ptr<HostPage>> slots_ = std::vector<std::unique_ptr<HostPage>>(1024);
    u64 mask_ = 1023;
    u32 size_ = 0;
};
}  // namespace calque::jit
