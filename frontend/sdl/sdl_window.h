// The machine in a window. The main loop calls poll() often; drawing happens at most 60 times a second.
// SDL is touched only between create() and the destructor.
#pragma once
#include <bitset>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "support/host_ui.h"
#include "support/result.h"

struct SDL_Window;
struct SDL_Renderer;
struct SDL_Texture;
struct SDL_Rect;
union SDL_Event;

namespace calque {

class SdlWindow {
public:
    struct Options {
        std::string name;                       // what runs, first in the title
        std::function<void()> on_close;         // the user closed the window: ask the guest to power off
    };
    static Result<std::unique_ptr<SdlWindow>> create(DisplaySource&, InputSink&, Options);
    ~SdlWindow();
    SdlWindow(const SdlWindow&) = delete;
    SdlWindow& operator=(const SdlWindow&) = delete;

    /// Handles what the user did and shows the current frame if one is due.
    void poll();
    /// The user closed the window a second time: leave now.
    bool quit_requested() const { return closes_ >= 2; }
    /// How it runs ("312 MIPS", "paused"), shown in the title.
    void set_status(const std::string& status);
    bool grabbed() const { return grabbed_; }
    const std::string& title() const { return title_; }

private:
    SdlWindow(DisplaySource&, InputSink&, Options);
    Result<void> open();
    void handle(const SDL_Event&);
    void key(int scancode, bool down, bool repeat);
    void button(int sdl_button, bool down);
    void close_requested();
    void set_grab(bool on);
    void release_all();
    void toggle_fullscreen();
    void update_title();
    void draw();
    void fit_window();
    void keep_inside(const SDL_Rect& room, int w, int h);
    bool upload();
    void present();

    DisplaySource& display_;
    InputSink& input_;
    Options options_;
    SDL_Window* window_ = nullptr;
    SDL_Renderer* renderer_ = nullptr;
    SDL_Texture* texture_ = nullptr;
    bool initialised_ = false;
    Frame frame_, next_;
    u32 fitted_width_ = 0, fitted_height_ = 0;  // the frame size that the window was last made for
    bool exposed_ = true;                       // the window's contents are lost or stale
    std::chrono::steady_clock::time_point next_draw_{};
    std::string status_, title_;
    unsigned closes_ = 0;
    bool grabbed_ = false;
    std::bitset<256> held_, keys_;              // what the user holds, and what of it the guest was told
    std::bitset<8> buttons_;
};
}  // namespace calque
