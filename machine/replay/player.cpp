#include "machine/replay/player.h"

#include <algorithm>

#include "machine/replay/recorder.h"
#include "machine/snapshot/config_state.h"
#include "machine/snapshot/embedded_image.h"
#include "support/state_io.h"

namespace calque {
namespace {
constexpr u64 kEventsLimit = 64 * kMiB;   // of one section: a second of input
constexpr unsigned kPatience = 3;         // runs that get nowhere
}  // namespace

Result<std::unique_ptr<Player>> Player::open(const std::string& path, MachineConfig host, const std::string& snapshot) {
    auto in = SectionReader::open(path, kRecordingMagic, "recording");
    if (!in) return in.error();
    std::unique_ptr<Player> p{new Player{std::move(*in)}};
    host.keep_images = true;
    auto machine = snapshot.empty() ? Machine::load_from(*p->in_, std::move(host)) : p->load_later(snapshot, std::move(host));
    if (!machine) return machine.error();
    p->owned_ = std::move(*machine), p->machine_ = p->owned_.get();
    if (auto r = p->begin(snapshot.empty()); !r) return r.error();
    if (auto r = p->look_through(); !r) return r.error();
    p->fetch();
    if (!snapshot.empty())
        if (auto r = p->catch_up(snapshot); !r) return r.error();
    return p;
}

/// What the snapshot has, instead of what the recording begins with.
Result<std::unique_ptr<Machine>> Player::load_later(const std::string& snapshot, MachineConfig host) {
    auto recorded = read_config(*in_);
    if (!recorded) return recorded.error();
    auto machine = Machine::load(snapshot, std::move(host));
    if (!machine) return machine;
    if (!same_machine(*recorded, (*machine)->config())) return Error{"the snapshot '" + snapshot + "' is of another machine than the " + in_->name()};
    do
        if (in_->next() != SectionReader::Next::section) return in_->damaged("'saved' is missing in it");
    while (!in_->is("saved"));
    if (auto r = in_->read(0); !r) return r.error();
    return machine;
}

/// Passes over what had happened when the snapshot was saved.
Result<void> Player::catch_up(const std::string& snapshot) {
    const Moment now = machine_->moment();
    const u64 passed = machine_->gate().count();
    u64 events = 0;
    const bool early = !next_ || now < next_->at;   // a check is the first
    for (; next_ && (next_->at < now || (next_->at == now && events < passed)); fetch()) {
        if (next_->is_check) good_until_ = next_->at.icount;
        else ++events, media_read_ += next_->event.kind == GateEvent::Kind::insert_medium && !next_->event.medium.path.empty();
    }
    if (failure_) return Error{*failure_};
    if (early || ended_ || events != passed) return Error{"the snapshot '" + snapshot + "' was not saved within the " + in_->name()};
    return {};
}

Result<void> Player::begin(bool at_the_start) {
    if (in_->next() != SectionReader::Next::section || !in_->is("begin") || in_->section().version != 1) return in_->damaged("'begin' is missing in it");
    auto bytes = in_->read(kKiB);
    if (!bytes) return bytes.error();
    StateIO s = StateIO::loader(*bytes);
    ClockMode clock{};
    bool reboot = true;
    Moment start;
    s(clock, reboot, start.icount, start.time, start.turns);
    machine_->begin_replay(clock == ClockMode::host, reboot);
    clock_ = clock;
    if (!s.complete() || clock > ClockMode::host || (at_the_start && start != machine_->moment())) return in_->damaged("'begin' does not fit the machine in it");
    events_.emplace(start);
    return {};
}

// Every section is checked before the first instruction runs. The last may be half there.
Result<void> Player::look_through() {
    const u64 place = in_->position();
    EventReader all = *events_;
    std::shared_ptr<EmbeddedImage> image;
    for (;;) {
        const auto next = in_->next();
        if (next == SectionReader::Next::end) break;
        cut_ = next == SectionReader::Next::cut || !in_->whole();
        auto taken = cut_ ? Result<bool>{false} : take_image(image);
        if (!taken) return taken.error();
        if (*taken) continue;
        if (!cut_ && (!in_->is("events") || in_->section().index != sections_left_)) return in_->damaged("its events are in disorder");
        if (!cut_ && in_->section().version > kEventsVersion) return in_->unknown("this version of Calque does not know version " + std::to_string(in_->section().version) + " of its events");
        if (cut_) break;
        auto bytes = in_->read(kEventsLimit);
        if (!bytes) return bytes.error();
        all.feed(std::move(*bytes));
        bool check = false;
        while (const auto e = all.next()) check = e->is_check;
        if (!all.ok() || !check) return in_->damaged("its events are in disorder");
        ++sections_left_;
    }
    if (!sections_left_) return in_->damaged("it ends in the middle");
    in_->seek(place);
    return {};
}

/// True: the section that the reader has come to is of a medium that was inserted on the way.
Result<bool> Player::take_image(std::shared_ptr<EmbeddedImage>& current) {
    auto taken = EmbeddedImage::take(*in_, current);
    if (!taken || !*taken) return taken;
    if (EmbeddedImage::begins(*in_)) {
        if (!media_.emplace(in_->section().index, current).second) return in_->damaged("an image in it is in disorder");
    } else if (auto r = in_->check(in_->place()); !r) return r.error();
    return true;
}

void Player::fetch() {
    next_ = events_->next();
    if (next_) return;
    if (!sections_left_) return void(ended_ = true);
    --sections_left_;
    std::vector<u8> bytes;
    auto next = in_->next();
    while (next == SectionReader::Next::section && !in_->is("events")) next = in_->next();   // of images
    if (next == SectionReader::Next::section)
        if (auto read = in_->read(kEventsLimit)) bytes = std::move(*read);
    events_->feed(std::move(bytes));
    next_ = events_->next();
    if (!next_) fail("the " + in_->name() + " has changed while it was replayed");
}

Result<i32> Player::medium() {
    ImageConfig image = next_->event.medium;
    if (image.path.empty()) return -1;
    if (const auto embedded = media_.find(media_read_++); embedded != media_.end()) {
        image.embedded = embedded->second;
        return machine_->open_medium(image);
    }
    auto now = identify_image(image.path);
    if (!now) return now.error();
    if (!next_->medium.matches(*now)) return Error{"the image '" + image.path + "' is not what it was when the " + in_->name() + " was made"};
    return machine_->open_medium(image);
}

void Player::play() {
    if (next_->is_check) {
        const u64 icount = machine_->icount();
        if (machine_->quick_hash() != next_->hash)
            return fail("the machine has left the " + in_->name() + " between instruction " + std::to_string(good_until_) + " and " + std::to_string(icount));
        good_until_ = icount, ++checks_;
    } else {
        GateEvent e = next_->event;
        if (e.kind == GateEvent::Kind::insert_medium) {
            auto index = medium();
            if (!index) return fail(index.error().message);
            e.x = *index;
        }
        if (!machine_->accepts(e)) return fail("the " + in_->name() + " has an event for a device that its machine does not have");
        machine_->gate().replay(e);
    }
    fetch();
}

void Player::go_to(const Mark& m) {
    events_ = m.events, next_ = m.next;
    sections_left_ = m.sections_left, media_read_ = m.media, checks_ = m.checks, good_until_ = m.good_until;
    in_->seek(m.position);
    ended_ = false, failure_.reset();
}

Machine::Stop Player::run(u64 instructions) {
    using Stop = Machine::Stop;
    const u64 end = machine_->icount() + std::min(instructions, ~u64{0} - machine_->icount());
    for (unsigned stuck = 0;;) {
        while (due() && !failure_) play(), stuck = 0;
        if (failure_ || ended_ || machine_->icount() >= end) return Stop::slice;
        const Moment before = machine_->moment();
        if (before.icount > next_->at.icount || before.time > next_->at.time || stuck >= kPatience) {
            fail("the machine has left the " + in_->name() + " after instruction " + std::to_string(good_until_));
            return Stop::slice;
        }
        machine_->hold_at(next_->at);
        const Stop s = machine_->run(end - before.icount);
        stuck = machine_->moment() == before ? stuck + 1 : 0;
        if (s == Stop::slice || s == Stop::idle) continue;
        while (due() && next_->is_check && !failure_) play();
        if (!due() || s == Stop::stop_at || s == Stop::debug) return s;
    }
}
}  // namespace calque
