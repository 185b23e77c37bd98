// Hashes of many byte strings, a lane for each: string s is bytes[starts[s]] to bytes[starts[s + 1] - 1].
//
//      fnv1a       FNV-1a of 32 bits: an exclusive or and a multiplication for each byte
//      crc32       the CRC of zip and Ethernet: a table of 256 words, one look-up for each byte
//
// Strings differ in length, so lanes leave the loop one by one. The table is in the module's data, made by the
// assembler; every lane looks up a word of its own.
//
// Launch: any one-dimensional grid and block.

        .include "index.inc"
        .include "loop.inc"
        .include "hash.inc"

// Entry b is what eight steps of the shift register make of b, with the polynomial 0xedb88320 (bits reversed).
        .data
        .align  4
table:
        .rept   256, BYTE
        .equ    CRC, \BYTE
        .rept   8
        .equ    CRC, (CRC >> 1) ^ (CRC & 1 ? 0xedb88320 : 0)
        .endr
        .word   CRC
        .endr
        .text

// The loop over strings and over the bytes of each. first: the state at the beginning. step_KIND: what a byte does to
// `hash`. last: what is combined with the state at the end by exclusive or.
        .macro  hash_strings kind, first, last
        .param  u32 n                           // strings
        .param  ptr starts                      // u32, n + 1
        .param  ptr bytes
        .param  ptr out                         // u32, one per string

        .reg    string  = vreg0
        .reg    at      = vreg1
        .reg    end     = vreg2
        .reg    byte    = vreg3
        .reg    hash    = vreg4
        .reg    t       = vreg5
        .reg    step    = sreg38
        .reg    entry   = sreg39
        .reg    lanes   = sreg40                // those that have a string in this round
        .reg    words   = sreg[42:43]           // address of the table

        data_address    words, table
        global_x        string
        grid_threads    step
        grid_stride     each, string, n, entry
        vmem.ld.b32     at, [0x0 + string * 0x4] @starts
        vmem.ld.b32     end, [bytes(4) + string * 0x4] @starts
        s.wait          vldcnt(0), vstcnt(0)            // the last round's store may still read `hash`
        v.mov.b32       hash, \first
        s.mov.b32       lanes, emsk
next:   inside          at, end, scc
        s.cbr.az        emsk, store
        vmem.ld.b8      byte, [0x0 + at * 0x1] @bytes
        v.add.i32       at, at, 1
        s.wait          vldcnt(0)
        step_\kind
        s.cbr           next
store:  s.mov.b32       emsk, lanes
        v.xor.b32       hash, hash, \last
        vmem.st.b32     hash, [0x0 + string * 0x4] @out
        grid_stride_end each, string, step, entry
        simt.exit
        .endm

        .macro  step_fnv1a
        fnv1a           v, hash, byte
        .endm

        .macro  step_crc32
        v.xor.b32       t, hash, byte
        v.and.b32       t, t, 0xff
        vmem.ld.b32     t, [0x0 + t * 0x4] @words
        v.shrl.b32      hash, hash, 8
        s.wait          vldcnt(0)
        v.xor.b32       hash, hash, t
        .endm

        .kernel fnv1a
        hash_strings    fnv1a, FNV_BASIS, 0

        .kernel crc32
        hash_strings    crc32, 0xffffffff, 0xffffffff
