// The window without a screen: SDL's dummy driver, with events put into its queue.
#include <SDL.h>
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "frontend/sdl/sdl_window.h"

using namespace calque;

namespace {
struct Picture : DisplaySource {
    u32 width = 320, height = 200;
    unsigned renders = 0;
    void render(Frame& f) override {
        f.resize(width, height);
        for (auto& p : f.pixels) p = 0x112233;
        ++renders;
    }
};
struct Recorder : InputSink {
    std::string log;
    template <class... Ts>
    void say(const char* format, Ts... values) {
        char text[64];
        std::snprintf(text, sizeof text, format, values...);
        log += text;
    }
    void key(u8 usage, bool down) override { say(down ? "+%d " : "-%d ", usage); }
    void mouse_rel(int x, int y, int z) override {
        say("m%d,%d,%d ", x, y, z);
    }
    void mouse_button(unsigned n, bool down) override { say(down ? "b+%d " : "b-%d ", static_cast<int>(n)); }
};
struct Bench {
    Picture picture;
    Recorder input;
    unsigned asked = 0;
    std::unique_ptr<SdlWindow> window;
    Bench() {
        setenv("SDL_VIDEODRIVER", "dummy", 1);
        auto w = SdlWindow::create(picture, input, {"disk.img", [this] { ++asked; }});
        REQUIRE_MESSAGE(w, w.error().message);
        window = std::move(*w);
        SDL_FlushEvents(SDL_FIRSTEVENT, SDL_LASTEVENT);
    }
    std::string take() {
        window->poll();
        return std::exchange(input.log, {});
    }
    void key(SDL_Scancode code, bool down, bool repeat = false) {
        SDL_Event e{};
        e.type = down ? SDL_KEYDOWN : SDL_KEYUP;
        e.key.keysym.scancode = code, e.key.repeat = repeat;
        SDL_PushEvent(&e);
    }
    void button(u8 n, bool down) {
        SDL_Event e{};
        e.type = down ? SDL_MOUSEBUTTONDOWN : SDL_MOUSEBUTTONUP;
        e.button.button = n;
        SDL_PushEvent(&e);
    }
    void motion(int x, int y) {
        SDL_Event e{};
        e.type = SDL_MOUSEMOTION;
        e.motion.xrel = x, e.motion.yrel = y;
        SDL_PushEvent(&e);
    }
    void simple(Uint32 type, Uint8 window_event = 0) {
        SDL_Event e{};
        e.type = type, e.window.event = window_event;
        SDL_PushEvent(&e);
    }
};
}  // namespace

TEST_CASE("keys are HID usages, without repeats and without media keys") {
    Bench b;
    b.key(SDL_SCANCODE_A, true), b.key(SDL_SCANCODE_A, true, true), b.key(SDL_SCANCODE_A, false);
    b.key(SDL_SCANCODE_RGUI, true), b.key(SDL_SCANCODE_RGUI, false);
    b.key(SDL_SCANCODE_AUDIONEXT, true), b.key(SDL_SCANCODE_B, false);
    CHECK(b.take() == "+4 -4 +231 -231 ");
}

TEST_CASE("a click grabs the mouse, Ctrl+Alt+G releases it") {
    Bench b;
    b.motion(3, 4);
    CHECK(b.take() == "");
    CHECK(b.window->title() == "disk.img - Calque - click to use the mouse");
    b.button(SDL_BUTTON_LEFT, true), b.button(SDL_BUTTON_LEFT, false);
    CHECK(b.take() == "");
    CHECK(b.window->grabbed());
    CHECK(b.window->title() == "disk.img - Calque - Ctrl+Alt+G releases the mouse");
    SDL_FlushEvent(SDL_MOUSEMOTION);
    b.motion(3, -4), b.button(SDL_BUTTON_RIGHT, true), b.button(SDL_BUTTON_RIGHT, false);
    CHECK(b.take() == "m3,-4,0 b+1 b-1 ");
    b.button(SDL_BUTTON_MIDDLE, true);
    b.key(SDL_SCANCODE_LCTRL, true), b.key(SDL_SCANCODE_LALT, true), b.key(SDL_SCANCODE_G, true);
    b.key(SDL_SCANCODE_G, false), b.key(SDL_SCANCODE_LALT, false), b.key(SDL_SCANCODE_LCTRL, false);
    CHECK(b.take() == "b+2 +224 +226 -224 -226 b-2 ");
    CHECK_FALSE(b.window->grabbed());
}

TEST_CASE("losing focus releases everything") {
    Bench b;
    b.key(SDL_SCANCODE_LSHIFT, true), b.key(SDL_SCANCODE_Z, true);
    CHECK(b.take() == "+225 +29 ");
    b.simple(SDL_WINDOWEVENT, SDL_WINDOWEVENT_FOCUS_LOST);
    CHECK(b.take() == "-29 -225 ");
    b.key(SDL_SCANCODE_Z, false);
    CHECK(b.take() == "");
}

TEST_CASE("closing asks for power off, closing again quits") {
    Bench b;
    b.window->set_status("310 MIPS");
    CHECK(b.window->title() == "disk.img - Calque - 310 MIPS - click to use the mouse");
    b.simple(SDL_QUIT);
    b.take();
    CHECK(b.asked == 1);
    CHECK_FALSE(b.window->quit_requested());
    CHECK(b.window->title() == "disk.img - Calque - 310 MIPS - powering off, close again to quit");
    b.simple(SDL_QUIT);
    b.take();
    CHECK(b.asked == 1);
    CHECK(b.window->quit_requested());
}

TEST_CASE("frames are drawn at their pace and the window follows the guest's mode") {
    Bench b;
    b.window->poll(), b.window->poll(), b.window->poll();
    CHECK(b.picture.renders == 1);
    SDL_Window* w = SDL_GetWindowFromID(1);
    for (Uint32 id = 1; !w && id < 64; ++id) w = SDL_GetWindowFromID(id);
    REQUIRE(w);
    int width = 0, height = 0;
    SDL_GetWindowSize(w, &width, &height);
    CHECK(width == 320);
    CHECK(height == 200);
    b.picture.width = 640, b.picture.height = 480;
    SDL_Delay(20);
    b.window->poll();
    SDL_GetWindowSize(w, &width, &height);
    CHECK(width == 640);
    CHECK(height == 480);
}
