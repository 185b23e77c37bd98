// Where a pattern stands in a text: bit L of found[w] says whether text[32 * w + L :] begins with it.
//
// A warp looks at 32 places of the text at once, one per lane. The pattern is the same for all lanes, so the scalar unit
// loads its bytes; a compare gives a mask, and lanes whose byte differs drop out. When none is left the warp goes on
// to the next 32 places. The lanes left at the end of the pattern are the result: the execution mask itself is stored,
// a word per warp.
//
// Launch: any one-dimensional grid, the block a multiple of 32. length at least 1, n + 32 * warps less than 2^32.

        .include "index.inc"
        .include "loop.inc"

        .kernel search
        .param  u32 n                           // bytes of text
        .param  u32 length                      // bytes of pattern
        .param  ptr text
        .param  ptr pattern
        .param  ptr found                       // u32, ceil(n / 32) words

        .reg    place   = vreg0                 // the lane's place in the text
        .reg    at      = vreg1                 // and where it is reading
        .reg    byte    = vreg2
        .reg    word    = sreg38                // number of the warp's 32 places
        .reg    words   = sreg39
        .reg    warps   = sreg40
        .reg    first   = sreg41                // the first place of the word
        .reg    ends    = sreg42                // places where the pattern still fits into the text
        .reg    j       = sreg43                // in the pattern
        .reg    wanted  = sreg44                // its byte j
        .reg    result  = sreg45                // lanes at whose place all of the pattern was found
        .reg    entry   = sreg46

search: global_warp     word
        grid_warps      warps
        s.add.i32       words, n, 31
        s.shrl.b32      words, words, 5
        s.add.i32       ends, n, 1
        s.max.u32       ends, ends, length              // length > n: 0 of them
        s.sub.i32       ends, ends, length
        s.mov.b32       entry, emsk

        for_scalar      each, word, words
        s.shll.b32      first, word, 5
        v.mov.b32       place, %laneid
        v.add.i32       place, place, first
        v.mov.b32       at, place
        inside          place, ends, scc
        s.mov.b32       j, 0

byte_j: s.cbr.az        emsk, store                     // nobody is left
        s.cmp.ge.u32    scc, j, length
        s.cbr.nz        scc, store                      // or all of the pattern has been found
        smem.ld.b8      wanted, [0x0 + j * 0x1] @pattern
        vmem.ld.b8      byte, [0x0 + at * 0x1] @text
        s.wait          vldcnt(0), sldcnt(0)
        v.cmp.eq.u32    scc, byte, wanted
        s.lop.emsk      scc, scc # 0x8
        v.add.i32       at, at, 1
        s.add.i32       j, j, 1
        s.cbr           byte_j

store:  s.wait          sstcnt(0)                       // the last round's store may still read its register
        s.mov.b32       result, emsk
        smem.st.b32     result, [0x0 + word * 0x4] @found
        s.mov.b32       emsk, entry
        for_scalar_end  each, word, warps
        simt.exit
