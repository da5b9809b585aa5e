; Recursive calls: fib(34).
%define EXPECT 5702887
%include "harness.inc"
kernel:
    mov eax, 34
fib:
    cmp eax, 2
    jb .leaf
    push eax
    dec eax
    call fib
    xchg eax, [esp]
    sub eax, 2
    call fib
    pop edx
    add eax, edx
.leaf:
    ret
end_of_image
