// Keys of a PC keyboard by their codes on USB HID usage page 7 (HID Usage Tables, "Keyboard/Keypad Page"): the neutral
// key code between front ends and the keyboard.
#pragma once
#include "support/types.h"

namespace calque {

enum Key : u8 {
    kKeyA = 0x04, kKeyB, kKeyC, kKeyD, kKeyE, kKeyF, kKeyG, kKeyH, kKeyI, kKeyJ, kKeyK, kKeyL, kKeyM, kKeyN, kKeyO, kKeyP,
    kKeyQ, kKeyR, kKeyS, kKeyT, kKeyU, kKeyV, kKeyW, kKeyX, kKeyY, kKeyZ,
    kKey1 = 0x1e, kKey2, kKey3, kKey4, kKey5, kKey6, kKey7, kKey8, kKey9, kKey0,
    kKeyEnter = 0x28, kKeyEscape, kKeyBackspace, kKeyTab, kKeySpace, kKeyMinus, kKeyEqual, kKeyLeftBracket, kKeyRightBracket,
    kKeyBackslash, kKeyNonUsHash, kKeySemicolon, kKeyQuote, kKeyGrave, kKeyComma, kKeyPeriod, kKeySlash, kKeyCapsLock,
    kKeyF1 = 0x3a, kKeyF2, kKeyF3, kKeyF4, kKeyF5, kKeyF6, kKeyF7, kKeyF8, kKeyF9, kKeyF10, kKeyF11, kKeyF12,
    kKeyPrintScreen = 0x46, kKeyScrollLock, kKeyPause, kKeyInsert, kKeyHome, kKeyPageUp, kKeyDelete, kKeyEnd, kKeyPageDown,
    kKeyRight = 0x4f, kKeyLeft, kKeyDown, kKeyUp,
    kKeyNumLock = 0x53, kKeyKpSlash, kKeyKpAsterisk, kKeyKpMinus, kKeyKpPlus, kKeyKpEnter,
    kKeyKp1 = 0x59, kKeyKp2, kKeyKp3, kKeyKp4, kKeyKp5, kKeyKp6, kKeyKp7, kKeyKp8, kKeyKp9, kKeyKp0, kKeyKpPeriod,
    kKeyNonUsBackslash = 0x64, kKeyMenu, kKeyPower, kKeyKpEqual,
    kKeyF13 = 0x68, kKeyF14, kKeyF15, kKeyF16, kKeyF17, kKeyF18, kKeyF19, kKeyF20, kKeyF21, kKeyF22, kKeyF23, kKeyF24,
    kKeyKpComma = 0x85,
    kKeyInternational1 = 0x87, kKeyInternational2, kKeyInternational3, kKeyInternational4, kKeyInternational5,
    kKeyLang1 = 0x90, kKeyLang2, kKeyLang3, kKeyLang4,
    kKeyLeftCtrl = 0xe0, kKeyLeftShift, kKeyLeftAlt, kKeyLeftGui, kKeyRightCtrl, kKeyRightShift, kKeyRightAlt, kKeyRightGui,
};
}  // namespace calque
