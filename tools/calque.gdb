# For GDB: shows code as the guest's processor runs it, 16, 32 or 64 bits wide, at every stop.
#     gdb -x tools/calque.gdb -ex "target remote localhost:1234"
set $calque_shown_bits = 0
define hook-stop
  if $code_bits != $calque_shown_bits
    set $calque_shown_bits = $code_bits
    if $code_bits == 16
      set architecture i8086
    end
    if $code_bits == 32
      set architecture i386
    end
    if $code_bits == 64
      set architecture i386:x86-64
    end
  end
end
document hook-stop
Follows the processor's mode: sets the architecture to i8086, i386 or i386:x86-64.
end
