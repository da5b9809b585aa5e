; A guest program that checks what only a whole processor shows: privilege levels, real and virtual-8086 mode, paging, faults and
; their priority, tasks, single steps. It is a Multiboot 1 kernel in flat form. Each check is a record (case.inc) written from the
; manual's pseudo-code, and each that comes out differently is a line on the first serial port:
;
;       name [mode]: field got 1 expected 2, ...
;       1234 checks, 1 deviations
;
; It ends by isa-debug-exit (port 0xf4), or where that does not exist by Bochs' port 0x8900, or by a triple fault.
;       nasm -f bin -I tests/guest/ -o guest.bin tests/guest/main.asm
%include "layout.inc"
%include "case.inc"

; Everything is loaded at LOAD. What real mode has to reach is then copied down to IMAGE, where it is assembled for; the cases stay.
LOW_PART        equ     0xa000
CASES_AT        equ     LOAD + LOW_PART
        section .text16 progbits start=0 vstart=IMAGE
        section .text progbits follows=.text16 align=16 vfollows=.text16 valign=16
        section .cases progbits start=LOW_PART vstart=CASES_AT

        section .text16
        bits    32
        align   4
header: dd      0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
        dd      LOAD, LOAD, image_end, 0, LOAD + loaded - header
loaded: cli
        cld
        mov     esi, LOAD
        mov     edi, IMAGE
        mov     ecx, LOW_PART / 4
        rep     movsd
        mov     eax, entry
        jmp     eax

%include "start.asm"
%include "print.asm"
%include "features.asm"
%include "tables.asm"
%include "runner.asm"
%include "compare.asm"
%include "protected.asm"
%include "real.asm"
%include "long.asm"

        section .cases
cases:
%include "subjects/framework.asm"
%include "subjects/flags.asm"
%include "subjects/virtual_if.asm"
%include "subjects/inspect.asm"
%include "subjects/paging.asm"
%include "subjects/crossing.asm"
%include "subjects/segments.asm"
%include "subjects/limits.asm"
%include "subjects/transfers.asm"
%include "subjects/gates.asm"
%include "subjects/tasks.asm"
%include "subjects/interrupts.asm"
%include "subjects/steps.asm"
%include "subjects/breakpoints.asm"
%include "subjects/shadow.asm"
%include "subjects/fast_calls.asm"
%include "subjects/control.asm"
%include "subjects/ports.asm"
%include "subjects/lock.asm"
%include "subjects/length.asm"
%include "subjects/alignment.asm"
%include "subjects/unreal.asm"
%include "subjects/partial.asm"
%include "subjects/priority.asm"
        CASES_END

        section .cases
image_end:
