#include "machine/replay/recorder.h"

#include "machine/block/identity.h"
#include "machine/block/journal_image.h"
#include "machine/block/overlay_image.h"
#include "machine/snapshot/embedded_image.h"
#include "support/state_io.h"

namespace calque {

Recorder::Recorder(Machine& m, std::unique_ptr<NewFile> file, const std::string& path)
    : machine_{m}, file_{std::move(file)}, out_{file_->fd(), path, kRecordingMagic}, events_{m.moment()} {}

Recorder::~Recorder() { machine_.gate().forget(this); }

Result<std::unique_ptr<Recorder>> Recorder::start(Machine& m, const std::string& path) {
    auto file = NewFile::create(path);
    if (!file) return file.error();
    m.begin_moments();
    std::unique_ptr<Recorder> r{new Recorder{m, std::move(*file), path}};
    if (auto saved = m.save_to(r->out_); !saved) return saved.error();
    StateIO s = StateIO::saver();
    ClockMode clock = m.config().clock;
    bool reboot = m.config().reboot;
    Moment start = m.moment();
    s(clock, reboot, start.icount, start.time, start.turns);
    r->out_.add("begin", 1, 0, s);
    if (auto ok = r->check(); !ok) return ok.error();
    if (auto ok = r->file_->commit(); !ok) return ok.error();
    m.gate().listen(r.get(), [recorder = r.get()](const GateEvent& e) { recorder->hear(e); });
    return r;
}

// A medium's content comes before the section with its event.
void Recorder::hear(const GateEvent& e) {
    RecordedEvent event{.at = machine_.moment(), .event = e};
    if (e.kind == GateEvent::Kind::insert_medium && e.x >= 0) {
        BlockImage* const image = machine_.images()[static_cast<size_t>(e.x)];
        if (const auto id = identify_image(e.medium.path)) event.medium = *id;
        if (machine_.config().embed_images)
            if (auto r = EmbeddedImage::write(out_, media_, event.medium, unwritten(*image)); !r && !error_) error_ = r.error().message;
        ++media_;
    }
    events_.add(event);
}

Result<void> Recorder::check() {
    if (error_) return Error{*error_};
    const Moment now = machine_.moment();
    if (events_.empty() && now == checked_ && sections_) return out_.result();   // it stands still
    events_.add({.at = now, .is_check = true, .hash = machine_.quick_hash()});
    checked_ = now;
    out_.add("events", kEventsVersion, sections_++, events_.take());
    return out_.result();
}

Result<void> Recorder::stop_here() {
    machine_.gate().forget(this);
    return out_.finish();
}

Result<void> Recorder::finish() {
    machine_.gate().forget(this);
    if (auto r = check(); !r) return r;
    return out_.finish();
}
}  // namespace calque
