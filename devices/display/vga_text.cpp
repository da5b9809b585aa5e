// The text screen as text. Characters are IBM code page 437's, whatever font the guest has loaded.
#include "devices/display/vga.h"

namespace calque {

static constexpr std::u16string_view kCp437Low =
    u" ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
static constexpr std::u16string_view kCp437High =
    u"ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
    u"└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";
static_assert(kCp437Low.size() == 32 && kCp437High.size() == 128);

static void append_utf8(std::string& s, u8 code) {
    const char16_t c = code < 0x20 ? kCp437Low[code] : code == 0x7F ? u'⌂' : code >= 0x80 ? kCp437High[code - 0x80] : code;
    if (c < 0x80) {
        s += static_cast<char>(c);
    } else if (c < 0x800) {
        s += static_cast<char>(0xC0 | c >> 6);
        s += static_cast<char>(0x80 | (c & 0x3F));
    } else {
        s += static_cast<char>(0xE0 | c >> 12);
        s += static_cast<char>(0x80 | (c >> 6 & 0x3F));
        s += static_cast<char>(0x80 | (c & 0x3F));
    }
}

std::vector<std::string> Vga::text_screen() const {
    std::vector<std::string> lines;
    if (!text_mode()) return lines;
    Scan scan = first_scan();
    u32 last_ma = ~0u;
    for (u32 y = 0; y < timing_.vdisp; next_scan(scan, y), ++y) {
        if (scan.ma == last_ma && scan.row_scan != 0) continue;
        if (scan.again) continue;
        last_ma = scan.ma;
        std::string line;
        for (u32 column = 0; column < timing_.hdisp; ++column)
            append_utf8(line, static_cast<u8>(memory_.planes(fetch_address(scan, column))));
        line.erase(line.find_last_not_of(' ') + 1);
        lines.push_back(std::move(line));
    }
    return lines;
}
}  // namespace calque
