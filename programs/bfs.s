// Breadth-first search, one level per launch: from the vertices of one level to those of the next.
//
// The graph is in CSR form: vertex v has the neighbours targets[starts[v]] to targets[starts[v + 1] - 1]. `level` holds
// how many steps each vertex is away from the source, UNSEEN where that is not known yet.
//
// A lane does a vertex of the frontier. Several lanes of several warps may find the same neighbour at the same moment;
// vmem.atom.cas lets exactly one of them change UNSEEN into the level, and that one puts the vertex into the next frontier.
// Places there are handed out by one addition per warp and step, not per lane: the lanes that won are counted, one
// of them adds the count to `size`, and each takes the place that its position among them gives.
//
// In which order vertices stand in a frontier depends on the order in which warps run; levels do not.
//
// size is zero at first. Launch: any one-dimensional grid and block.

        .include "index.inc"
        .include "loop.inc"
        .include "warp.inc"

        .equ    UNSEEN, 0xffffffff

        .kernel bfs
        .param  u32 count                       // vertices of the frontier
        .param  u32 depth                       // level of the vertices that are found
        .param  ptr starts                      // u32, vertices + 1
        .param  ptr targets                     // u32
        .param  ptr frontier                    // u32
        .param  ptr level                       // u32, one per vertex
        .param  ptr next                        // u32, the next frontier
        .param  ptr size                        // u32, vertices in it

        .reg    i       = vreg0
        .reg    vertex  = vreg1
        .reg    k       = vreg2                 // the edge
        .reg    end     = vreg3                 // the first behind the vertex
        .reg    target  = vreg4
        .reg    before  = vreg5                 // what `level` held
        .reg    unseen  = vreg6
        .reg    deeper  = vreg7                 // depth
        .reg    place   = vreg8
        .reg    base    = vreg9
        .reg    found   = vreg10
        .reg    step    = sreg38
        .reg    entry   = sreg39
        .reg    lanes   = sreg40                // those that have a vertex in this round
        .reg    edges   = sreg41                // those that have an edge left
        .reg    won     = sreg42                // those that found a new vertex
        .reg    number  = sreg43                // how many
        .reg    first   = sreg44

bfs:    v.mov.b32       unseen, UNSEEN
        v.mov.b32       deeper, depth
        global_x        i
        grid_threads    step
        grid_stride     each, i, count, entry
        vmem.ld.b32     vertex, [0x0 + i * 0x4] @frontier
        s.wait          vldcnt(0)
        vmem.ld.b32     k, [0x0 + vertex * 0x4] @starts
        vmem.ld.b32     end, [bytes(4) + vertex * 0x4] @starts
        s.wait          vldcnt(0)

        s.mov.b32       lanes, emsk
edge:   inside          k, end, scc
        s.cbr.az        emsk, none
        s.mov.b32       edges, emsk
        s.wait          vstcnt(0)                       // the last round's store may still read `target`
        vmem.ld.b32     target, [0x0 + k * 0x4] @targets
        v.add.i32       k, k, 1
        s.wait          vldcnt(0)
        vmem.atom.cas.b32 before, [0x0 + target * 0x4] @level, unseen, deeper
        s.wait          vldcnt(0)
        v.cmp.eq.u32    won, before, UNSEEN
        s.mov.b32       emsk, won
        s.cbr.az        emsk, known
        s.popc.b32      number, won
        v.mov.b32       found, number
        warp_positions  won, place
        v.cmp.eq.u32    scc, place, 0
        s.mov.b32       emsk, scc                       // the first of them
        vmem.atom.add.i32 base, [0x0] @size, found
        s.wait          vldcnt(0)
        v.mov.v2s       first, base, 0x20
        s.mov.b32       emsk, won
        v.add.i32       place, place, first
        vmem.st.b32     target, [0x0 + place * 0x4] @next
known:  s.mov.b32       emsk, edges
        s.cbr           edge

none:   s.mov.b32       emsk, lanes
        grid_stride_end each, i, step, entry
        simt.exit
