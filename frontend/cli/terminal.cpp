#include "frontend/cli/terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

namespace calque {
namespace {
termios original;

// An internal error aborts the process: the shell should get its terminal back all the same.
void restore_and_abort(int) {
    ::tcsetattr(STDIN_FILENO, TCSANOW, &original);
    ::signal(SIGABRT, SIG_DFL);
    ::raise(SIGABRT);
}
}  // namespace

Terminal::Terminal() {
    if (!::isatty(STDIN_FILENO) || ::tcgetattr(STDIN_FILENO, &original) != 0) return;
    termios t = original;
    t.c_iflag &= ~static_cast<tcflag_t>(BRKINT | ICRNL | INLCR | IGNCR | INPCK | ISTRIP | IXON);
    t.c_cflag |= CS8;
    t.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | IEXTEN | ISIG);
    t.c_cc[VMIN] = 1, t.c_cc[VTIME] = 0;
    raw_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &t) == 0;
    if (raw_) ::signal(SIGABRT, restore_and_abort);
}

Terminal::~Terminal() {
    if (!raw_) return;
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &original);
    ::signal(SIGABRT, SIG_DFL);
}
}  // namespace calque
