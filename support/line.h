// Wires between chips. A Line carries a level and is idempotent; an EdgeLine carries only the fact that
// something happened. They are different types so that a board cannot wire one to the other by mistake.
#pragma once

namespace calque {

class Line {
public:
    virtual ~Line() = default;
    virtual void set(bool level) = 0;
    void raise() { set(true); }
    void lower() { set(false); }
    void pulse() { set(true), set(false); }
};

class EdgeLine {
public:
    virtual ~EdgeLine() = default;
    virtual void trigger() = 0;
};

/// A member function seen as a line:  Pin<&I8042::reset_asserted> pin{*this};
template <auto Method>
class Pin;
template <class Owner, void (Owner::*Method)(bool)>
class Pin<Method> final : public Line {
public:
    explicit Pin(Owner& owner) : owner_{owner} {}
    void set(bool level) override { (owner_.*Method)(level); }

private:
    Owner& owner_;
};

/// A member function that also wants to know which of several lines it is:  void M(unsigned index, bool level)
template <auto Method>
class IndexedPin;
template <class Owner, void (Owner::*Method)(unsigned, bool)>
class IndexedPin<Method> final : public Line {
public:
    IndexedPin() = default;
    IndexedPin(Owner& owner, unsigned index) : owner_{&owner}, index_{index} {}
    void set(bool level) override { (owner_->*Method)(index_, level); }

private:
    Owner* owner_ = nullptr;
    unsigned index_ = 0;
};

template <auto Method>
class EdgePin;
template <class Owner, void (Owner::*Method)()>
class EdgePin<Method> final : public EdgeLine {
public:
    explicit EdgePin(Owner& owner) : owner_{owner} {}
    void trigger() override { (owner_.*Method)(); }

private:
    Owner& owner_;
};

/// Not connected.
class NoLine final : public Line {
public:
    void set(bool) override {}
};
inline Line& nc() {
    static NoLine line;
    return line;
}

/// A wire that remembers its level and may pass it on; for tests and for wired-OR joints.
class Wire final : public Line {
public:
    explicit Wire(Line* to = nullptr) : to_{to} {}
    void set(bool level) override {
        edges_ += level && !level_;
        level_ = level;
        if (to_) to_->set(level);
    }
    bool high() const { return level_; }
    bool low() const { return !level_; }
    unsigned rising_edges() const { return edges_; }

private:
    Line* to_;
    bool level_ = false;
    unsigned edges_ = 0;
};
}  // namespace calque
