// N bodies under gravity: one step of time for each body, from old positions to new ones.
//
//      a    = sum over all j of m[j] * (p[j] - p[i]) / (|p[j] - p[i]|^2 + softening)^(3/2)
//      v[i] = v[i] + a * dt
//      q[i] = p[i] + v[i] * dt
//
// A thread does a body i and meets all others. They come through TSM, a tile of as many bodies as the block has threads:
// each thread loads one, and after the barrier all lanes read the same body at once, which costs as much as reading one.
// The body itself adds nothing, for p[j] - p[i] is 0; softening keeps its denominator from being 0, too.
//
// Order: j ascends from 0, so the result is defined to the bit and does not depend on the block.
//
// Launch: grid ceil(n / block), one-dimensional, up to 1024 threads. Arrays are multiples of 16.

        .include "index.inc"
        .include "block.inc"

        .kernel nbody
        .param  u32 n
        .param  f32 softening                   // greater than 0
        .param  f32 dt
        .param  ptr bodies                      // f32 x 4 each: x, y, z and mass
        .param  ptr velocities                  // f32 x 4 each, the last one not used; updated
        .param  ptr moved                       // bodies after the step; not `bodies`
        .maxntid 1024
        .tsm    16 * 1024 tile

        .reg    tid     = vreg0
        .reg    i       = vreg1
        .reg    j       = vreg2                 // the body that the thread brings
        .reg    d2      = vreg3                 // distance squared
        .reg    p       = vreg[4:7]             // body i
        .reg    other   = vreg[8:11]            // body j
        .reg    v       = vreg[12:15]
        .reg    d       = vreg[16:19]           // p[j] - p[i]
        .reg    a       = vreg[20:23]
        .reg    w       = vreg24                // m[j] / distance^3
        .reg    entry   = sreg38
        .reg    base    = sreg39                // first body of the tile
        .reg    at      = sreg40                // byte offset in it
        .reg    end     = sreg41
        .reg    present = sreg42                // lanes that have a body
        .reg    off     = sreg43

nbody:  v.mov.b32       tid, %tid.x
        global_x        i
        s.mov.b32       entry, emsk
        v.cmp.lt.u32    present, i, n
        s.mov.b32       emsk, present
        vmem.ld.b32x4   p, [0x0 + i * 0x10] @bodies
        s.mov.b32       emsk, entry
        v.mov.b32       a[0], 0
        v.mov.b32       a[1], 0
        v.mov.b32       a[2], 0

        s.mov.b32       base, 0
tiles:  s.cmp.ge.u32    scc, base, n
        s.cbr.nz        scc, step
        block_sync                                      // the last tile has been read
        v.add.i32       j, tid, base
        inside          j, n, off
        vmem.ld.b32x4   other, [0x0 + j * 0x10] @bodies
        s.wait          vldcnt(0)                       // p, too
        tsm.st.b32x4    other, [tile + tid * 0x10]
        restore         off
        block_sync

        s.sub.i32       end, n, base
        s.min.u32       end, end, %ntid.x
        s.shll.b32      end, end, 4
        s.mov.b32       at, 0
meet:   tsm.ld.b32x4    other, [at + bytes(tile)]
        s.wait          tsmcnt(0)
        v.sub.f32       d[0], other[0], p[0]
        v.sub.f32       d[1], other[1], p[1]
        v.sub.f32       d[2], other[2], p[2]
        v.mov.b32       d2, softening
        v.fma.f32.rtte  d2, d[0], d[0], d2
        v.fma.f32.rtte  d2, d[1], d[1], d2
        v.fma.f32.rtte  d2, d[2], d[2], d2
        v.rsqrt.f32     d2, d2
        v.mul.f32       w, d2, d2
        v.mul.f32       w, w, d2
        v.mul.f32       w, w, other[3]
        v.fma.f32.rtte  a[0], d[0], w, a[0]
        v.fma.f32.rtte  a[1], d[1], w, a[1]
        v.fma.f32.rtte  a[2], d[2], w, a[2]
        s.add.i32       at, at, 16
        s.cmp.lt.u32    scc, at, end
        s.cbr.nz        scc, meet
        s.add.i32       base, base, %ntid.x
        s.cbr           tiles

step:   s.mov.b32       emsk, present
        s.cbr.az        emsk, done
        vmem.ld.b32x4   v, [0x0 + i * 0x10] @velocities
        s.wait          vldcnt(0)
        .rept   3, E
        v.fma.f32.rtte  v[\E], a[\E], dt, v[\E]
        v.fma.f32.rtte  p[\E], v[\E], dt, p[\E]
        .endr
        vmem.st.b32x4   v, [0x0 + i * 0x10] @velocities
        vmem.st.b32x4   p, [0x0 + i * 0x10] @moved
done:   s.mov.b32       emsk, entry
        simt.exit
