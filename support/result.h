// Result<T>: a value, or one sentence that says what failed, where, and what to do.
// Shaped like C++23's std::expected. Only frontend/ turns an Error into words and an exit code.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace calque {

struct Error {
    std::string message;  // a sentence for the user, without a trailing full stop or newline
};

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : v_{std::in_place_index<0>, std::move(value)} {}
    Result(Error e) : v_{std::in_place_index<1>, std::move(e)} {}
    explicit operator bool() const { return v_.index() == 0; }
    bool has_value() const { return v_.index() == 0; }
    T& operator*() { return std::get<0>(v_); }
    const T& operator*() const { return std::get<0>(v_); }
    T* operator->() { return &std::get<0>(v_); }
    const T* operator->() const { return &std::get<0>(v_); }
    const Error& error() const { return std::get<1>(v_); }

private:
    std::variant<T, Error> v_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error e) : e_{std::move(e)} {}
    explicit operator bool() const { return !e_; }
    bool has_value() const { return !e_; }
    const Error& error() const { return *e_; }

private:
    std::optional<Error> e_;
};
}  // namespace calque
