// One function saves and loads: `void state(StateIO& s) { s.version(1); s(a, b, c); }`.
// The stream is little-endian and identical on every host. Loading is fed with untrusted bytes: after any failure
// every further value reads as zero and ok() is false; a device must stay safe with whatever it was given
// (clamp indices after loading).
#pragma once
#include <array>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "support/types.h"

namespace calque {

class StateIO {
public:
    static StateIO saver() { return StateIO{false, {}}; }
    static StateIO loader(std::span<const u8> bytes) { return StateIO{true, bytes}; }

    bool loading() const { return loading_; }
    bool saving() const { return !loading_; }
    bool ok() const { return ok_; }
    void fail() { ok_ = false; }
    const std::vector<u8>& bytes() const { return out_; }
    /// Loading: everything has been read, and nothing was wrong.
    bool complete() const { return ok_ && at_ == in_.size(); }

    /// Every device starts with its version; a version above `current` or 0 fails. Returns the stored version.
    u32 version(u32 current) {
        u32 v = current;
        (*this)(v);
        if (v == 0 || v > current) fail();
        return v;
    }

    template <class... Ts>
    void operator()(Ts&... values) { (one(values), ...); }

    /// A block of fixed size.
    void raw(void* data, size_t size);

private:
    StateIO(bool loading, std::span<const u8> in) : loading_{loading}, in_{in} {}

    template <class T>
    void one(T& v) {
        if constexpr (std::is_same_v<T, bool>) {
            u8 b = v;
            integer(b);
            v = b != 0;
        } else if constexpr (std::is_enum_v<T>) {
            auto i = static_cast<std::underlying_type_t<T>>(v);
            integer(i);
            v = static_cast<T>(i);
        } else if constexpr (std::is_integral_v<T> || std::is_same_v<T, u128>) {
            integer(v);
        } else {
            v.state(*this);
        }
    }
    template <class T, size_t N>
    void one(std::array<T, N>& a) { for (auto& v : a) one(v); }
    template <class T, size_t N>
    void one(T (&a)[N]) { for (auto& v : a) one(v); }
    template <class T>
    void one(std::vector<T>& a) {
        u64 n = a.size();
        integer(n);
        if (loading_) {
            if (!ok_ || n > in_.size() - at_) return fail();
            a.assign(n, T{});
        }
        for (auto& v : a) one(v);
    }
    void one(std::string& a) {
        u64 n = a.size();
        integer(n);
        if (loading_) {
            if (!ok_ || n > in_.size() - at_) return fail();
            a.assign(n, '\0');
        }
        raw(a.data(), a.size());
    }
    template <class T>
    void one(std::optional<T>& o) {
        bool has = o.has_value();
        one(has);
        if (loading_) has ? void(o.emplace()) : o.reset();
        if (o) one(*o);
    }

    template <class T>
    void integer(T& v) {
        u8 b[sizeof(T)];
        if (!loading_)
            for (size_t i = 0; i < sizeof(T); ++i) b[i] = static_cast<u8>(v >> (8 * i));
        raw(b, sizeof b);
        if (loading_) {
            u128 r = 0;
            for (size_t i = 0; i < sizeof(T); ++i) r |= static_cast<u128>(b[i]) << (8 * i);
            v = static_cast<T>(r);
        }
    }

    bool loading_, ok_ = true;
    std::span<const u8> in_;
    size_t at_ = 0;
    std::vector<u8> out_;
};
}  // namespace calque
