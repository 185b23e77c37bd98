// Convolution of images in bfloat16 with binary32 sums, on the matrix unit: images are N x H x W x C, filters K x R x S
// x C, the result is N x P x Q x K. Stride, dilation and zero padding are free in both directions.
//
// It is a matrix product. A row of A is what one output pixel sees, a row of B a filter, both R * S * C long. A is
// never made: for each tap (r, s) of the filter and every 64 channels, the AIU copies a column of 128 output pixels
// into TSM. It walks over the images by itself, in steps of the stride; the tap, times the dilation, is an offset that
// is added to every place, and where that leaves the image it fills in zeros. Filters are a tensor of K rows in R * S
// planes.
//
// Who does what. A block of 4 warps computes 128 pixels x 128 filters, each warp 64 x 64 of them: 16 accumulators of
// 16 x 16 in 128 registers; a warp without pixels or filters only copies, each warp a quarter of the tiles. There is
// room for three tiles of either kind: while one is multiplied, the next two are on their way. Each turn closes a
// group, at the end an empty one, so that waiting for all groups but the last means the same in every turn.
//
// Order: the sum over r, s and c, ascending, in blocks of 16 channels; each block's products are added from +0 on, each
// addition rounded once, and then to the blocks before it. Bias, activation and narrow results as in gemm_store.inc.
// The result is defined to the bit.
//
// Launch: grid (ceil(K / 128), ceil(N * P * Q / 128)), block 128. C a multiple of 16 (zeros fill up others), x and
// filter at multiples of 32, ldc even, out at a multiple of 8. epilogue is 0, 1 for GELU or 2 for SiLU; + 4 to store the
// result in bfloat16.

        .arch   ppu0015
        .include "gemm.inc"

        .equ    DEPTH, GEMM_LINE / 2            // channels of a tile

        .kernel conv2d_bf16
        .param  u32 images
        .param  u32 height
        .param  u32 width
        .param  u32 channels
        .param  u32 n                           // filters: columns of the result, as gemm_store.inc calls them
        .param  u32 ldc                         // elements from pixel to pixel of the result
        .param  u32 filter_height
        .param  u32 filter_width
        .param  u32 stride_h
        .param  u32 stride_w
        .param  u32 dilation_h
        .param  u32 dilation_w
        .param  u32 pad_h                       // zeros on either side
        .param  u32 pad_w
        .param  u32 epilogue                    // 0, GEMM_GELU 1 or GEMM_SILU 2; + GEMM_NARROW 4
        .param  ptr x                           // images x height x width x channels
        .param  ptr filter                      // n x filter_height x filter_width x channels
        .param  ptr c                           // images x P x Q x ldc
        .param  ptr bias                        // n of binary32, added to each pixel; 0: none
        .reqntid 128
        .tsm    GEMM_STAGES * GEMM_STAGE

        .reg    lane    = vreg0
        .reg    v       = vreg[2:7]
        .reg    a_places = vreg[16:19]
        .reg    b_places = vreg[24:27]
        .reg    as      = vreg[32:47]           // four fragments of pixels
        .reg    bs      = vreg[48:63]           // and of filters
        .reg    acc     = vreg[128:255]         // acc[32 * i + 8 * j ...]: tile (i, j)

        .reg    wrow    = sreg32                // the warp's pixels and filters: first within the block, then of all
        .reg    wcol    = sreg33
        .reg    m       = sreg34                // pixels of the result
        .reg    s       = sreg35
        .reg    off     = sreg38
        .reg    turns   = sreg39                // tiles to multiply
        .reg    copies  = sreg40                // tiles to copy
        .reg    stage   = sreg41                // TSM offset of the tiles that are multiplied
        .reg    next    = sreg42                // and of the next ones to be copied
        .reg    part    = sreg43                // which quarter of a tile the warp copies
        .reg    left    = sreg44                // channels from the tile's first on, to the end of the tap
        .reg    idle    = sreg45                // not 0: the warp has no pixels or no filters
        .reg    end_w   = sreg46                // behind the offsets of a row of taps
        .reg    p       = sreg47
        .reg    q       = sreg48
        .reg    pq      = sreg49
        .reg    t       = sreg[50:51]
        .reg    to      = sreg[52:53]
        .reg    row0    = sreg54                // the block's first pixel and filter
        .reg    col0    = sreg55
        .reg    pixels  = sreg[64:95]           // descriptors and positions of copies
        .reg    pixel_at = sreg[96:111]
        .reg    filters = sreg[112:127]
        .reg    filter_at = sreg[128:131]
        .reg    columns = sreg[144:159]         // lanes whose columns exist

        v.mov.b32       lane, %laneid

// out = pixels of the result along an axis; upper = what the first tap's places are short of the image's end, pad -
// reach.
        .macro  extent out, upper, size, taps, stride, dilation, pad
        s.sub.i32       \upper, \taps, 1
        s.mull.i32      \upper, \upper, \dilation
        s.sub.i32       \upper, \pad, \upper
        s.add.i32       \out, \size, \pad
        s.add.i32       \out, \out, \upper
        s.sub.i32       \out, \out, 1
        s.div.u32       \out, \out, \stride
        s.add.i32       \out, \out, 1
        .endm

        // The images: base, strides of w, h, d and n, extents of c, w, h, d and n, the box, the column, and its steps.
        .rept   16, W
        s.mov.b64       pixels[2*\W:2*\W+1], 0
        .endr
        extent          p, pixels[19], height, filter_height, stride_h, dilation_h, pad_h
        extent          q, pixels[18], width, filter_width, stride_w, dilation_w, pad_w
        s.mov.b64       pixels[0:1], x
        s.shll.b32      pixels[2], channels, 1
        s.mull.i32      pixels[4], pixels[2], width
        s.mulw.u64.u32  pixels[8:9], pixels[4], height
        s.mov.b32       pixels[10], channels
        s.mov.b32       pixels[11], width
        s.mov.b32       pixels[12], height
        s.mov.b32       pixels[13], 1
        s.mov.b32       pixels[14], images
        s.sub.i32       pixels[15], 0, pad_w
        s.sub.i32       pixels[16], 0, pad_h
        s.min.u32       pixels[21], channels, DEPTH // fewer leave the rest of a line as it is: nobody reads it
        s.mov.b32       pixels[22], GEMM_SIDE / 4
        s.mov.b32       pixels[23], stride_w
        s.mov.b32       pixels[24], stride_h
        s.mov.b32       pixels[25], 1
        s.mov.b32       pixels[26], 1
        s.mull.i32      pq, p, q
        s.mull.i32      m, pq, images
        s.mull.i32      end_w, filter_width, dilation_w

        // The filters: w are filters, n taps.
        s.mull.i32      t[0], filter_height, filter_width
        s.mov.b64       filters[0:1], filter
        s.mulw.u64.u32  filters[2:3], pixels[2], t[0]
        s.mov.b32       filters[4], pixels[2]
        s.mov.b32       filters[5], 0
        s.mov.b32       filters[6], channels
        s.mov.b32       filters[7], n
        s.mov.b32       filters[8], t[0]
        s.mov.b32       filters[9], pixels[21]
        s.mov.b32       filters[10], GEMM_SIDE / 4
        s.mov.b32       filters[11], 1
        s.mov.b64       filters[12:13], 0
        s.mov.b64       filters[14:15], 0
        s.add.i32       turns, channels, DEPTH - 1
        s.shrl.b32      turns, turns, log2(DEPTH)
        s.mull.i32      turns, turns, t[0]
        s.mov.b32       copies, turns
        s.mov.b32       left, 0

        // The warp's quarter of a tile, and its first pixel's place.
        .rept   8, W
        s.mov.b64       pixel_at[2*\W:2*\W+1], 0
        .endr
        s.mov.b64       filter_at[0:1], 0
        s.mov.b32       filter_at[3], 0
        s.mov.b32       part, %warpid
        s.mull.i32      part, part, GEMM_SIDE / 4
        s.mov.b32       row0, %blkid.y
        s.mull.i32      row0, row0, GEMM_SIDE
        s.mov.b32       col0, %blkid.x
        s.mull.i32      col0, col0, GEMM_SIDE
        s.add.i32       filter_at[2], col0, part
        s.add.i32       s, row0, part
        s.div.u32       pixel_at[5], s, pq
        s.mull.i32      t[0], pixel_at[5], pq
        s.sub.i32       s, s, t[0]
        s.div.u32       t[0], s, q
        s.mull.i32      t[1], t[0], q
        s.sub.i32       s, s, t[1]
        s.mull.i32      pixel_at[2], s, stride_w
        s.sub.i32       pixel_at[2], pixel_at[2], pad_w
        s.mull.i32      pixel_at[3], t[0], stride_h
        s.sub.i32       pixel_at[3], pixel_at[3], pad_h
        s.mull.i32      part, part, GEMM_LINE

        // Its pixels and filters.
        s.mov.b32       s, %warpid
        s.shrl.b32      wrow, s, 1
        s.shll.b32      wrow, wrow, 6
        s.and.b32       wcol, s, 1
        s.shll.b32      wcol, wcol, 6

// The warp's quarters of the next tiles leave memory, if there are any, and a group is closed.
        .macro  conv_copy bits, across_a, across_b
        s.cbr.az        copies, .Lfetched\@
        s.add.i32       pixel_at[0], next, part
        s.add.i32       filter_at[0], pixel_at[0], GEMM_TILE
        vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.5d.im2col.b16 pixels, pixel_at
        vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16 filters, filter_at
        s.sub.i32       copies, copies, 1
        s.add.i32       pixel_at[1], pixel_at[1], DEPTH
        s.cmp.lt.u32    scc, pixel_at[1], channels
        s.cbr.nz        scc, .Lplaced\@
        s.mov.b32       pixel_at[1], 0          // the next tap
        s.add.i32       filter_at[3], filter_at[3], 1
        s.add.i32       pixel_at[6], pixel_at[6], dilation_w
        s.cmp.lt.u32    scc, pixel_at[6], end_w
        s.cbr.nz        scc, .Lplaced\@
        s.mov.b32       pixel_at[6], 0
        s.add.i32       pixel_at[7], pixel_at[7], dilation_h
.Lplaced\@:
        s.mov.b32       filter_at[1], pixel_at[1]
.Lfetched\@:
        vmem.acp.commit.grp
        .endm

// How many channels of the tap are left.
        .macro  conv_ready
        s.sub.i32       left, left, DEPTH
        s.cmp.gt.i32    scc, left, 0
        s.csel.b32      left, left, channels, scc
        .endm

// The products of 16 channels; behind the last of a tap the tile has nothing more.
        .macro  conv_multiply mma, step
        gemm_multiply   \mma, \step
        s.cmp.le.i32    scc, left, 16 * \step + 16
        s.cbr.nz        scc, turned
        .endm

        gemm_turns      16, f32.bf16.m16n16k16, 0, 0, conv_copy, conv_ready, conv_multiply
        gemm_bias       v.add.f32
        gemm_activation
        gemm_store_narrow bf16
        gemm_store
