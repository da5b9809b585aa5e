#include "devices/irq/i8259a.h"

#include "device_suite.h"

using namespace calque;

namespace {
struct Pair {
    Wire intr;
    I8259a master{I8259a::Role::master, intr};
    I8259a slave{I8259a::Role::slave, master.ir(2)};
    Elcr elcr{master, slave};
    Pair() {
        master.cascade(2, slave);
        init(0x01);
    }
    void init(u8 icw4) {
        for (u8 v : {0x20, 0x04, int{icw4}}) {
            if (v == 0x20) master.write(0, 0x11);
            master.write(1, v);
        }
        slave.write(0, 0x11), slave.write(1, 0x28), slave.write(1, 2), slave.write(1, 1);
        master.write(1, 0), slave.write(1, 0);
    }
    I8259a& chip(unsigned n) { return n < 8 ? master : slave; }
    void raise(unsigned n) { chip(n).ir(n).raise(); }
    void lower(unsigned n) { chip(n).ir(n).lower(); }
    void pulse_latched(unsigned n) { lower(n), raise(n); }
    u8 isr(I8259a& c) { return c.write(0, 0x0b), c.read(0); }
    u8 irr(I8259a& c) { return c.write(0, 0x0a), c.read(0); }
};
}  // namespace

TEST_CASE("8259A: fixed priority, in-service blocks equals and lowers, non-specific EOI") {
    Pair p;
    p.raise(3);
    CHECK(p.intr.high());
    p.raise(1);
    CHECK(p.master.ack() == 0x21);
    CHECK(p.intr.low());
    CHECK(p.isr(p.master) == 0x02);
    CHECK(p.irr(p.master) == 0x08);
    p.raise(0);
    CHECK(p.intr.high());
    CHECK(p.master.ack() == 0x20);
    p.master.write(0, 0x20);
    CHECK(p.isr(p.master) == 0x02);
    CHECK(p.intr.low());
    p.master.write(0, 0x20);
    CHECK(p.master.ack() == 0x23);
    p.master.write(0, 0x63);  // specific EOI of level 3
    CHECK(p.isr(p.master) == 0);
    CHECK(p.intr.low());  // the inputs are still high, but edges are used up
}

TEST_CASE("8259A: slave requests go through IR2") {
    Pair p;
    p.raise(12);
    CHECK(p.intr.high());
    CHECK(p.master.ack() == 0x2c);
    CHECK(p.isr(p.slave) == 0x10);
    CHECK(p.isr(p.master) == 0x04);
    p.raise(8);  // higher, but the fully nested master blocks its own level
    CHECK(p.intr.low());
    p.slave.write(0, 0x20), p.master.write(0, 0x20);
    CHECK(p.master.ack() == 0x28);
}

TEST_CASE("8259A: special fully nested mode lets a slave interrupt itself") {
    Pair p;
    p.init(0x11);
    p.raise(12);
    CHECK(p.master.ack() == 0x2c);
    p.raise(8);
    CHECK(p.intr.high());
    CHECK(p.master.ack() == 0x28);
    p.raise(3);
    CHECK(p.intr.low());
    p.raise(1);
    CHECK(p.master.ack() == 0x21);
}

TEST_CASE("8259A: spurious IRQ 7 and 15") {
    Pair p;
    p.raise(4), p.lower(4);
    CHECK(p.intr.low());
    CHECK(p.master.ack() == 0x27);
    CHECK(p.isr(p.master) == 0);
    // The slave's request goes away after the master has latched it: the master still serves IR2.
    p.slave.ir(2).raise();
    CHECK(p.intr.high());
    p.slave.write(1, 0xff);
    p.master.ir(2).raise();
    CHECK(p.master.ack() == 0x2f);
    CHECK(p.isr(p.master) == 0x04);
    CHECK(p.isr(p.slave) == 0);
}

TEST_CASE("8259A: mask register") {
    Pair p;
    p.master.write(1, 0x10);
    CHECK(p.master.read(1) == 0x10);
    p.raise(4);
    CHECK(p.intr.low());
    CHECK(p.irr(p.master) == 0x10);
    p.master.write(1, 0);
    CHECK(p.intr.high());
    CHECK(p.master.ack() == 0x24);
}

TEST_CASE("8259A: level-triggered inputs ask again until they are lowered") {
    Pair p;
    p.elcr.write(0, 0xff), p.elcr.write(1, 0xff);
    CHECK(p.elcr.read(0) == 0xf8);
    CHECK(p.elcr.read(1) == 0xde);
    p.raise(10);
    CHECK(p.master.ack() == 0x2a);
    p.slave.write(0, 0x20), p.master.write(0, 0x20);
    CHECK(p.intr.high());
    CHECK(p.master.ack() == 0x2a);
    p.lower(10);
    p.slave.write(0, 0x20), p.master.write(0, 0x20);
    CHECK(p.intr.low());
}

TEST_CASE("8259A: automatic EOI, with rotation") {
    Pair p;
    p.init(0x03);
    p.raise(3);
    CHECK(p.master.ack() == 0x23);
    CHECK(p.isr(p.master) == 0);
    p.master.write(0, 0x80);  // rotate in automatic EOI mode
    p.pulse_latched(3);
    p.raise(5);
    CHECK(p.master.ack() == 0x23);  // 3 now has the lowest priority
    p.pulse_latched(3), p.pulse_latched(4);
    CHECK(p.master.ack() == 0x24);
    CHECK(p.master.ack() == 0x25);
    CHECK(p.master.ack() == 0x23);
}

TEST_CASE("8259A: rotation by EOI and set priority") {
    Pair p;
    p.master.write(0, 0xc5);  // IR5 lowest: the order is 6 7 0 1 2 3 4 5
    p.raise(0), p.raise(6), p.raise(5);
    CHECK(p.master.ack() == 0x26);
    p.master.write(0, 0xa0);  // rotate on non-specific EOI: IR6 lowest
    CHECK(p.master.ack() == 0x20);
    p.master.write(0, 0xe0);  // rotate on specific EOI of level 0
    CHECK(p.master.ack() == 0x25);
}

TEST_CASE("8259A: special mask mode lets lower levels in") {
    Pair p;
    p.raise(3);
    CHECK(p.master.ack() == 0x23);
    p.raise(6);
    CHECK(p.intr.low());
    p.master.write(1, 0x08);
    CHECK(p.intr.low());
    p.master.write(0, 0x68);
    CHECK(p.master.ack() == 0x26);
    p.master.write(0, 0x20);  // clears 6, not the masked 3
    CHECK(p.isr(p.master) == 0x08);
    p.raise(7);
    p.master.write(0, 0x48);  // back to normal
    CHECK(p.intr.low());
}

TEST_CASE("8259A: poll") {
    Pair p;
    p.master.write(0, 0x0c);
    CHECK(p.master.read(0) == 0x07);
    p.raise(5);
    p.master.write(0, 0x0c);
    CHECK(p.master.read(1) == 0x85);
    CHECK(p.isr(p.master) == 0x20);
}

TEST_CASE("8259A: ICW1 forgets edges and masks") {
    Pair p;
    p.master.write(1, 0xff);
    p.raise(1);
    p.init(0x01);
    CHECK(p.intr.low());
    p.pulse_latched(1);
    CHECK(p.master.ack() == 0x21);
}

TEST_CASE("8259A: state") {
    Pair p, q;
    p.elcr.write(1, 0x06);
    p.raise(12), p.raise(3), p.master.ack(), p.raise(9);
    check_save_load(p.slave, q.slave);
    check_save_load(p.master, q.master);
    CHECK(q.elcr.read(1) == 0x06);
    CHECK(q.intr.high() == p.intr.high());
    CHECK(q.master.ack() == p.master.ack());
    check_damaged_state(q.master, [&] { q.master.ack(), q.raise(5), q.master.write(0, 0x20), q.master.read(0); });
}
