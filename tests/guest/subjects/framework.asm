; What the framework itself needs: code runs to its end in every mode, and exceptions are seen.
%macro framework_cases 1
        CASE    "runs to the end", %1
        given   eax, 5
        CODE
        inc     ax
        RUN
        expect  eax, 6
        becomes 0x8d5, 4

        CASE    "undefined instruction", %1
        CODE
        nop
.bad:   ud2
        RUN
        stopped_at .bad

        CASE    "single steps", %1
        with    flags, TF
        tracing
        CODE
.a:     nop
.b:     xor     dx, dx
.c:     nop
        RUN
        ignore  edx, flags
        traced  .b, .c, .done
%endmacro
        framework_cases real16
        framework_cases prot16
        framework_cases user16
        framework_cases vm86
        framework_cases prot32
        framework_cases user32
        framework_cases long64
        framework_cases user64
        framework_cases comp32
        framework_cases comp16
