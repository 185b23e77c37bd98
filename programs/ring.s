// A producer and a consumer in one launch, with a ring of slots between them: out[i] = 2 * source[i] + 1, where block 0
// hands over the elements and block 1 takes them.
//
// head counts the elements that have been put into the ring, tail those that have been taken out, both modulo 2^32;
// element i lies in slot i % size. The producer waits while the ring is full, the consumer while it is empty.
//
// What makes this right is the order in which the other side sees the stores. The slots must have arrived before head says
// so: the store of head is a release. And they must be read after head has been seen: its load is an acquire. The same
// for tail: a slot must have been read before it is given back.
//
// Launch: two blocks of 32, cooperative: a side that waits for one that is not there waits for ever. size: a power of two, at least 32. head and tail are 0 at first.

        .kernel ring
        .param  u32 n
        .param  u32 size                        // slots
        .param  ptr source                      // u32, n
        .param  ptr out                         // u32, n
        .param  ptr slots                       // u32, size
        .param  ptr head                        // u32
        .param  ptr tail                        // u32
        .reqntid 32

        .reg    lane    = vreg0
        .reg    i       = vreg1                 // the lane's element
        .reg    slot    = vreg2
        .reg    value   = vreg3
        .reg    other   = vreg4                 // head or tail, of the other side
        .reg    mark    = vreg5                 // the same of this side
        .reg    done    = sreg38                // elements dealt with
        .reg    count   = sreg39                // of this round: 32, at the end fewer
        .reg    wrap    = sreg40                // size - 1
        .reg    there   = sreg41
        .reg    entry   = sreg42
        .reg    off     = sreg43

// The next `count` elements: their number, the lanes that have one, their slots.
        .macro  next_round
        s.sub.i32       count, n, done
        s.min.u32       count, count, 32
        v.add.i32       i, lane, done
        v.and.b32       slot, i, wrap
        .endm

// Lane 0 stores how far this side has come, with everything before it.
        .macro  publish place
        s.add.i32       done, done, count
        v.mov.b32       mark, done
        v.cmp.eq.u32    scc, lane, 0
        s.mov.b32       emsk, scc
        vmem.st.b32.release.gpu mark, [0x0] @\place
        s.mov.b32       emsk, entry
        .endm

ring:   v.mov.b32       lane, %laneid
        s.sub.i32       wrap, size, 1
        s.mov.b32       entry, emsk
        s.mov.b32       done, 0
        s.mov.b32       scc, %blkid.x
        s.cbr.nz        scc, consume

produce:
        s.cmp.ge.u32    scc, done, n
        s.cbr.nz        scc, end
        next_round
full:   vmem.ld.b32.acquire.gpu other, [0x0] @tail
        s.wait          vldcnt(0)
        v.mov.v2s       there, other, 0
        s.sub.i32       there, done, there              // elements in the ring
        s.add.i32       there, there, count
        s.cmp.le.u32    scc, there, size
        s.cbr.nz        scc, put
        s.sleep         100
        s.cbr           full
put:    v.cmp.lt.u32    scc, lane, count
        s.lop.emsk      off, scc # 0x8
        vmem.ld.b32     value, [0x0 + i * 0x4] @source
        s.wait          vldcnt(0)
        vmem.st.b32     value, [0x0 + slot * 0x4] @slots
        publish         head
        s.cbr           produce

consume:
        s.cmp.ge.u32    scc, done, n
        s.cbr.nz        scc, end
        next_round
empty:  vmem.ld.b32.acquire.gpu other, [0x0] @head
        s.wait          vldcnt(0)
        v.mov.v2s       there, other, 0
        s.sub.i32       there, there, done              // elements that have not been taken
        s.cmp.ge.u32    scc, there, count
        s.cbr.nz        scc, take
        s.sleep         100
        s.cbr           empty
take:   v.cmp.lt.u32    scc, lane, count
        s.lop.emsk      off, scc # 0x8
        vmem.ld.b32     value, [0x0 + slot * 0x4] @slots
        s.wait          vldcnt(0)
        v.add.i32       value, value, value
        v.add.i32       value, value, 1
        vmem.st.b32     value, [0x0 + i * 0x4] @out
        publish         tail
        s.cbr           consume

end:    simt.exit
