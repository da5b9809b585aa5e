// Built instead of sdl_window.cpp where SDL is missing.
#include "frontend/sdl/sdl_window.h"

namespace calque {
SdlWindow::SdlWindow(DisplaySource& display, InputSink& input, Options options)
    : display_{display}, input_{input}, options_{std::move(options)} {}
SdlWindow::~SdlWindow() = default;
void SdlWindow::poll() {}
void SdlWindow::set_status(const std::string& status) { status_ = status; }

Result<std::unique_ptr<SdlWindow>> SdlWindow::create(DisplaySource&, InputSink&, Options) {
    return Error{"this build of Calque has no window because SDL 2 was missing; run with --display none"};
}
}  // namespace calque
