// A hash table with open addressing, filled and read by all lanes of the chip at once.
//
//      table_add       for every key: its entry grows by the value; a key that is new gets an entry
//      table_find      for every key: the value of its entry, and whether there is one
//
// The table has `capacity` slots, a power of two, of a key and a value each. A key looks for its place from slot
// hash(key) on, slot by slot, until it finds itself or a slot that is EMPTY. To take an empty slot is one operation,
// vmem.atom.cas: it stores the key if the slot is still EMPTY, and says what it held before. So whoever comes second
// sees the first one's key, and either adds to it or goes on. Slots are never given back, so keys need no further care.
//
// Which slot a key gets depends on the order in which warps run; what its value is does not.
//
// keys of the table are EMPTY at first, values zero. At least one slot must stay empty, else a search does not end.
// Launch: any one-dimensional grid and block.

        .include "index.inc"
        .include "loop.inc"
        .include "hash.inc"

        .equ    EMPTY, 0xffffffff               // no key

// What both have in common: registers, the loop over the keys, and the first slot.
        .macro  begin_keys
        .reg    i       = vreg0
        .reg    key     = vreg1
        .reg    slot    = vreg2
        .reg    seen    = vreg3                 // the key in the slot
        .reg    value   = vreg4
        .reg    t       = vreg5
        .reg    step    = sreg38
        .reg    entry   = sreg39
        .reg    lanes   = sreg40                // those that have a key in this round
        .reg    looking = sreg41                // those that have not found their slot
        .reg    there   = sreg42                // those that have, just now
        .reg    wrap    = sreg43                // capacity - 1

        s.sub.i32       wrap, capacity, 1
        global_x        i
        grid_threads    step
        .endm

        .macro  first_slot
        v.mov.b32       slot, key
        mix             v, slot, t
        v.and.b32       slot, slot, wrap
        .endm

        .macro  next_slot
        v.add.i32       slot, slot, 1
        v.and.b32       slot, slot, wrap
        .endm

        .kernel table_add
        .param  u32 n
        .param  u32 capacity
        .param  ptr keys                        // u32, none of them EMPTY
        .param  ptr values                      // u32
        .param  ptr table_keys                  // u32, capacity
        .param  ptr table_values                // u32, capacity
        .reg    empty   = vreg6

table_add:
        begin_keys
        v.mov.b32       empty, EMPTY
        grid_stride     each, i, n, entry
        vmem.ld.b32     key, [0x0 + i * 0x4] @keys
        s.wait          vldcnt(0), vstcnt(0)            // the last round's addition may still read its registers
        vmem.ld.b32     value, [0x0 + i * 0x4] @values
        first_slot
        s.mov.b32       lanes, emsk
        s.mov.b32       looking, emsk

probe:  vmem.atom.cas.b32 seen, [0x0 + slot * 0x4] @table_keys, empty, key
        s.wait          vldcnt(0)                       // value, too
        v.cmp.eq.u32    there, seen, key                // the key was there,
        v.cmp.eq.u32    scc, seen, EMPTY                // or has just got the slot
        s.or.b32        there, there, scc
        s.mov.b32       emsk, there
        vmem.red.add.i32 [0x0 + slot * 0x4] @table_values, value
        s.not.b32       there, there
        s.and.b32       looking, looking, there
        s.mov.b32       emsk, looking
        next_slot
        s.cbr.nz        emsk, probe

        s.mov.b32       emsk, lanes
        grid_stride_end each, i, step, entry
        simt.exit

        .kernel table_find
        .param  u32 n
        .param  u32 capacity
        .param  ptr keys
        .param  ptr table_keys
        .param  ptr table_values
        .param  ptr values                      // u32, written: the value of the key's entry, or 0
        .param  ptr found                       // u32, written: 1 or 0

table_find:
        begin_keys
        grid_stride     each, i, n, entry
        vmem.ld.b32     key, [0x0 + i * 0x4] @keys
        s.wait          vldcnt(0), vstcnt(0)            // the last round's stores may still read their registers
        first_slot
        v.mov.b32       value, 0
        v.mov.b32       t, 0
        s.mov.b32       lanes, emsk

probe:  vmem.ld.b32     seen, [0x0 + slot * 0x4] @table_keys
        s.wait          vldcnt(0)
        s.mov.b32       looking, emsk
        v.cmp.eq.u32    there, seen, key
        s.mov.b32       emsk, there
        vmem.ld.b32     value, [0x0 + slot * 0x4] @table_values
        v.mov.b32       t, 1
        s.mov.b32       emsk, looking
        v.cmp.ne.u32    looking, seen, EMPTY            // behind an empty slot there is nothing
        s.not.b32       there, there
        s.and.b32       looking, looking, there
        s.mov.b32       emsk, looking
        next_slot
        s.cbr.nz        emsk, probe

        s.mov.b32       emsk, lanes
        s.wait          vldcnt(0)
        vmem.st.b32     value, [0x0 + i * 0x4] @values
        vmem.st.b32     t, [0x0 + i * 0x4] @found
        grid_stride_end each, i, step, entry
        simt.exit
