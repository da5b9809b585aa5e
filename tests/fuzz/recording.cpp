// Recordings: looked through and replayed for a while.
#include "machine/replay/player.h"
#include "machine/replay/recorder.h"
#include "tests/fuzz/machine.h"
#include "tests/fuzz/sections.h"
#include "tests/temp_folder.h"

namespace calque::fuzz {
namespace {
std::vector<Bytes> seeds() {
    std::vector<Bytes> out;
    const test::TempFolder folder;
    for (const char* guest : {"busy", "echo"}) {
        FuzzMachine fuzz;
        fuzz.config.keep_images = true;
        if (!out.empty()) fuzz.embed(folder / "disk");
        auto m = fuzz.make(guest);
        auto r = Recorder::start(*m, folder / "r");
        if (!r) std::abort();
        for (unsigned n = 0; n < 6; ++n) {
            m->run(2000);
            m->key(static_cast<u8>(4 + n), n % 2), m->mouse_rel(3, -2, 0), m->serial_input(0, 'x');
            if (n == 4) m->power_button(), m->serial_break(0), (void)m->input_at(m->time() + 1000, InputEvent::button(1, true));
            if (n == 3 && !out.empty() && !m->change_cdrom(0, folder / "disk", false)) std::abort();
            if (!(*r)->check()) std::abort();
        }
        if (!(*r)->finish()) std::abort();
        out.push_back(pack(folder / "r", kRecordingMagic));
    }
    out.push_back(whole_file(folder / "r"));
    return out;
}

bool run(std::span<const u8> in) {
    MemoryFile file;
    unpack(in, kRecordingMagic, file);
    FuzzMachine fuzz;
    auto p = Player::open(file.path(), fuzz.config);
    if (!p) return false;
    const auto m = (*p)->take_machine();
    if (m->config().memory > 64 * kMiB) return true;
    for (unsigned n = 0; n < 20 && !(*p)->ended() && !(*p)->failure(); ++n) (*p)->run(2000);
    return !(*p)->failure();
}
}  // namespace

const Target target{"recording", seeds, run};
}  // namespace calque::fuzz
