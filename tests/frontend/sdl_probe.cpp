// Shows a test pattern in a real window and prints what the user does; sdl_xvfb_test.py drives it.
// The pattern changes its size when F2 is pressed.
#include <chrono>
#include <cstdio>
#include <thread>

#include "frontend/sdl/sdl_window.h"

using namespace calque;

namespace {
struct Pattern : DisplaySource {
    bool large = false;
    void render(Frame& f) override {
        large ? f.resize(640, 480) : f.resize(320, 200);
        for (u32 y = 0; y < f.height; ++y)
            for (u32 x = 0; x < f.width; ++x) {
                const bool edge = x == 0 || y == 0 || x == f.width - 1 || y == f.height - 1;
                f.row(y)[x] = edge ? 0xFFFFFF : (x / 16 + y / 16) % 2 ? 0xC04020 : 0x2040C0;
            }
    }
};
struct Printer : InputSink {
    Pattern& pattern;
    explicit Printer(Pattern& p) : pattern{p} {}
    void key(u8 usage, bool down) override {
        if (usage == 0x3B && down) pattern.large = !pattern.large;
        std::printf("key %u %d\n", usage, down);
    }
    void mouse_rel(int x, int y, int z) override { std::printf("rel %d %d %d\n", x, y, z); }
    void mouse_button(unsigned n, bool down) override { std::printf("button %u %d\n", n, down); }
};
}  // namespace

int main() {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    Pattern pattern;
    Printer printer{pattern};
    auto window = SdlWindow::create(pattern, printer, {"probe", [] { std::printf("close\n"); }});
    if (!window) return std::fprintf(stderr, "%s\n", window.error().message.c_str()), 1;
    (*window)->set_status("123 MIPS");
    std::printf("ready\n");
    while (!(*window)->quit_requested()) {
        (*window)->poll();
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    std::printf("quit\n");
}
