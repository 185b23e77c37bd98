// All chips' kernels have come here before any goes on: nothing but the barrier of include/pod.inc.

        .include "pod.inc"

        .kernel barrier
        .param  ptr flags
        .param  u32 mark
        .reg    v       = vreg[4:7]
        .reg    s       = sreg[40:45]
        pod_barrier     flags, mark, v, s
        simt.exit
