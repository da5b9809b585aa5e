#include "frontend/sdl/sdl_window.h"

#include <SDL.h>

#include <algorithm>
#include <cmath>

namespace calque {

constexpr auto kFrameTime = std::chrono::microseconds{16'667};
constexpr int kFirstWidth = 720, kFirstHeight = 400;  // until the guest shows something

SdlWindow::SdlWindow(DisplaySource& display, InputSink& input, Options options)
    : display_{display}, input_{input}, options_{std::move(options)} {}

SdlWindow::~SdlWindow() {
    if (grabbed_) set_grab(false);
    if (texture_) SDL_DestroyTexture(texture_);
    if (renderer_) SDL_DestroyRenderer(renderer_);
    if (window_) SDL_DestroyWindow(window_);
    if (initialised_) SDL_QuitSubSystem(SDL_INIT_VIDEO);
}

Result<std::unique_ptr<SdlWindow>> SdlWindow::create(DisplaySource& display, InputSink& input, Options options) {
    std::unique_ptr<SdlWindow> w{new SdlWindow{display, input, std::move(options)}};
    if (auto r = w->open(); !r) return r.error();
    return w;
}

Result<void> SdlWindow::open() {
    auto failed = [](const char* what) {
        return Error{std::string{"cannot "} + what + ": " + SDL_GetError() + " (run with --display none to do without a window)"};
    };
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");  // Ctrl+C belongs to the main loop
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    SDL_SetHint(SDL_HINT_VIDEO_MINIMIZE_ON_FOCUS_LOSS, "0");
    SDL_SetHint(SDL_HINT_MOUSE_RELATIVE_SCALING, "0");
    if (SDL_InitSubSystem(SDL_INIT_VIDEO) != 0) return failed("open a display");
    initialised_ = true;
    window_ = SDL_CreateWindow("Calque", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, kFirstWidth, kFirstHeight,
                               SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI);
    if (!window_) return failed("open a window");
    renderer_ = SDL_CreateRenderer(window_, -1, 0);
    if (!renderer_) renderer_ = SDL_CreateRenderer(window_, -1, SDL_RENDERER_SOFTWARE);
    if (!renderer_) return failed("draw in a window");
    update_title();
    return {};
}

void SdlWindow::poll() {
    SDL_Event e;
    while (SDL_PollEvent(&e)) handle(e);
    const auto now = std::chrono::steady_clock::now();
    if (now < next_draw_) return;
    // Keep the beat while on time; after a long pause start a new one.
    next_draw_ = now - next_draw_ > kFrameTime ? now + kFrameTime : next_draw_ + kFrameTime;
    draw();
}

void SdlWindow::handle(const SDL_Event& e) {
    switch (e.type) {
    case SDL_QUIT: return close_requested();
    case SDL_KEYDOWN: return key(e.key.keysym.scancode, true, e.key.repeat);
    case SDL_KEYUP: return key(e.key.keysym.scancode, false, false);
    case SDL_MOUSEMOTION:
        if (grabbed_) input_.mouse_rel(e.motion.xrel, e.motion.yrel, 0);
        return;
    case SDL_MOUSEBUTTONDOWN: return button(e.button.button, true);
    case SDL_MOUSEBUTTONUP: return button(e.button.button, false);
    case SDL_MOUSEWHEEL:
        if (grabbed_) input_.mouse_rel(0, 0, e.wheel.direction == SDL_MOUSEWHEEL_FLIPPED ? -e.wheel.y : e.wheel.y);
        return;
    case SDL_WINDOWEVENT:
        switch (e.window.event) {
        // With one window SDL follows up with SDL_QUIT, which is what counts as closing.
        case SDL_WINDOWEVENT_FOCUS_LOST: held_.reset(), release_all(), set_grab(false); return;
        case SDL_WINDOWEVENT_EXPOSED:
        case SDL_WINDOWEVENT_SIZE_CHANGED: exposed_ = true; return;
        default: return;
        }
    case SDL_RENDER_TARGETS_RESET:
    case SDL_RENDER_DEVICE_RESET:
        if (texture_) SDL_DestroyTexture(texture_);
        texture_ = nullptr;
        exposed_ = true;
        return;
    default: return;
    }
}

/// SDL's scancodes are USB HID usages; what lies beyond page 7 has no place on a PC keyboard.
void SdlWindow::key(int scancode, bool down, bool repeat) {
    if (repeat || scancode <= SDL_SCANCODE_UNKNOWN || scancode > SDL_SCANCODE_RGUI) return;
    const u8 usage = static_cast<u8>(scancode);
    if (!down) {
        held_.reset(usage);
        if (!keys_.test(usage)) return;
        keys_.reset(usage);
        return input_.key(usage, false);
    }
    if (held_.test(usage)) return;
    held_.set(usage);
    const bool ctrl = held_.test(SDL_SCANCODE_LCTRL) || held_.test(SDL_SCANCODE_RCTRL);
    const bool alt = held_.test(SDL_SCANCODE_LALT) || held_.test(SDL_SCANCODE_RALT);
    if (ctrl && alt && (scancode == SDL_SCANCODE_G || scancode == SDL_SCANCODE_F)) {
        release_all();  // the guest must not keep half a chord pressed
        return scancode == SDL_SCANCODE_G ? set_grab(!grabbed_) : toggle_fullscreen();
    }
    keys_.set(usage);
    input_.key(usage, true);
}

void SdlWindow::button(int sdl_button, bool down) {
    unsigned n;
    switch (sdl_button) {
    case SDL_BUTTON_LEFT: n = 0; break;
    case SDL_BUTTON_RIGHT: n = 1; break;
    case SDL_BUTTON_MIDDLE: n = 2; break;
    case SDL_BUTTON_X1: n = 3; break;
    case SDL_BUTTON_X2: n = 4; break;
    default: return;
    }
    if (down && !grabbed_) return set_grab(true);  // this click is ours
    if (buttons_.test(n) == down) return;
    buttons_.set(n, down);
    input_.mouse_button(n, down);
}

void SdlWindow::close_requested() {
    ++closes_;
    if (closes_ == 1 && options_.on_close) options_.on_close();
    if (grabbed_) set_grab(false);
    update_title();
}

void SdlWindow::set_grab(bool on) {
    if (on == grabbed_) return;
    grabbed_ = on;
    SDL_SetRelativeMouseMode(on ? SDL_TRUE : SDL_FALSE);
    SDL_SetWindowGrab(window_, on ? SDL_TRUE : SDL_FALSE);
    SDL_SetWindowKeyboardGrab(window_, on ? SDL_TRUE : SDL_FALSE);  // Alt+Tab and the like reach the guest
    if (!on)
        for (unsigned n = 0; n < buttons_.size(); ++n)
            if (buttons_.test(n)) buttons_.reset(n), input_.mouse_button(n, false);
    update_title();
}

void SdlWindow::release_all() {
    for (unsigned usage = 0; usage < keys_.size(); ++usage)
        if (keys_.test(usage)) keys_.reset(usage), input_.key(static_cast<u8>(usage), false);
    for (unsigned n = 0; n < buttons_.size(); ++n)
        if (buttons_.test(n)) buttons_.reset(n), input_.mouse_button(n, false);
}

void SdlWindow::toggle_fullscreen() {
    const bool full = SDL_GetWindowFlags(window_) & SDL_WINDOW_FULLSCREEN_DESKTOP;
    SDL_SetWindowFullscreen(window_, full ? 0 : SDL_WINDOW_FULLSCREEN_DESKTOP);
    exposed_ = true;
}

void SdlWindow::set_status(const std::string& status) {
    if (status == status_) return;
    status_ = status;
    update_title();
}

void SdlWindow::update_title() {
    std::string t = options_.name.empty() ? "Calque" : options_.name + " - Calque";
    if (!status_.empty()) t += " - " + status_;
    t += closes_    ? " - powering off, close again to quit"
         : grabbed_ ? " - Ctrl+Alt+G releases the mouse"
                    : " - click to use the mouse";
    if (t == title_) return;
    title_ = std::move(t);
    SDL_SetWindowTitle(window_, title_.c_str());
}

void SdlWindow::draw() {
    display_.render(next_);
    if (next_.width == 0 || next_.height == 0) return;
    const bool changed = next_.width != frame_.width || next_.height != frame_.height || next_.pixels != frame_.pixels;
    if (!changed && !exposed_ && texture_) return;
    std::swap(frame_, next_);
    fit_window();
    if (!upload()) return;
    present();
    exposed_ = false;
}

/// Gives the window the size of a new mode, at the zoom it has now, as far as the host's screen allows.
void SdlWindow::fit_window() {
    if (frame_.width == fitted_width_ && frame_.height == fitted_height_) return;
    constexpr Uint32 kNotOurs = SDL_WINDOW_FULLSCREEN_DESKTOP | SDL_WINDOW_MAXIMIZED;
    if (!(SDL_GetWindowFlags(window_) & kNotOurs)) {
        int w = 0, h = 0;
        SDL_GetWindowSize(window_, &w, &h);
        double zoom = fitted_width_ ? std::min(double(w) / fitted_width_, double(h) / fitted_height_) : 1.0;
        SDL_Rect room{0, 0, 1 << 20, 1 << 20};
        SDL_GetDisplayUsableBounds(std::max(0, SDL_GetWindowDisplayIndex(window_)), &room);
        zoom = std::min({std::max(zoom, 0.25), double(room.w) / frame_.width, double(room.h) / frame_.height});
        w = std::max(1, int(std::lround(frame_.width * zoom))), h = std::max(1, int(std::lround(frame_.height * zoom)));
        SDL_SetWindowSize(window_, w, h);
        keep_inside(room, w, h);
    }
    fitted_width_ = frame_.width, fitted_height_ = frame_.height;
}

/// A window that grew may not leave the screen on the right or below; its upper left corner counts more.
void SdlWindow::keep_inside(const SDL_Rect& room, int w, int h) {
    int x = 0, y = 0;
    SDL_GetWindowPosition(window_, &x, &y);
    const int to_x = std::max(room.x, std::min(x, room.x + room.w - w)), to_y = std::max(room.y, std::min(y, room.y + room.h - h));
    if (to_x != x || to_y != y) SDL_SetWindowPosition(window_, to_x, to_y);
}

bool SdlWindow::upload() {
    int w = 0, h = 0;
    if (texture_) SDL_QueryTexture(texture_, nullptr, nullptr, &w, &h);
    if (!texture_ || w != int(frame_.width) || h != int(frame_.height)) {
        if (texture_) SDL_DestroyTexture(texture_);
        texture_ = SDL_CreateTexture(renderer_, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING, int(frame_.width), int(frame_.height));
        if (!texture_) return false;
        SDL_SetTextureBlendMode(texture_, SDL_BLENDMODE_NONE);
    }
    return SDL_UpdateTexture(texture_, nullptr, frame_.pixels.data(), int(frame_.width * sizeof(u32))) == 0;
}

/// Whole multiples keep pixels square and sharp; any other size is filtered. Either way the aspect ratio stays.
void SdlWindow::present() {
    int w = 0, h = 0;
    SDL_GetRendererOutputSize(renderer_, &w, &h);
    const double scale = std::min(double(w) / frame_.width, double(h) / frame_.height);
    const double whole = std::floor(scale + 1e-6);
    // Up to a few border pixels are better than filtering.
    const bool sharp = whole >= 1 && scale - whole < 0.02;
    const double used = sharp ? whole : scale;
    SDL_Rect to{0, 0, std::max(1, int(std::lround(frame_.width * used))), std::max(1, int(std::lround(frame_.height * used)))};
    to.x = (w - to.w) / 2, to.y = (h - to.h) / 2;
    SDL_SetTextureScaleMode(texture_, sharp ? SDL_ScaleModeNearest : SDL_ScaleModeLinear);
    SDL_SetRenderDrawColor(renderer_, 0, 0, 0, 255);
    SDL_RenderClear(renderer_);
    SDL_RenderCopy(renderer_, texture_, nullptr, &to);
    SDL_RenderPresent(renderer_);
}
}  // namespace calque
