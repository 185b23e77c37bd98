"""One program on a pod, and all that came of it: what every way to divide the work must agree on.

`mpiexec -n 3 python tests/pod_split.py` runs it on three ranks; the first one prints what came of it, as JSON.
"""

import json
from dataclasses import asdict
from hashlib import sha256

import numpy as np

from m890 import Console, PerChip, Pod, Ranks, Topology, profile

RELAY = """
        .data
line:   .asciz  "chip %d: %d\\n"
        .text
        .kernel relay                   // `turns` times each chip hands its words to the next and adds what it gets
        .param  ptr row                 // its 128 words, and behind them room for those of each turn
        .param  ptr next                // the same of the next chip
        .param  ptr flag                // counts what has come
        .param  ptr next_flag
        .param  ptr count               // of chip 0: all add to it
        .param  u32 turns
        .reg    turn = sreg40
        .reg    in = sreg[44:45]
        .reg    out = sreg[46:47]
        v.mov.b32       vreg0, %tid.x
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @row
        s.wait          vldcnt(0)
        s.mov.b32       turn, 0
        s.mov.b64       in, row
        s.mov.b64       out, next
loop:   s.add.i64       in, in, 0x200
        s.add.i64       out, out, 0x200
        v.add.i32       vreg2, vreg1, turn
        vmem.st.b32     vreg2, [0x0 + vreg0 * 0x4] @out
        vmem.fence.sys
        s.blksyn
        s.add.i32       turn, turn, 1
        v.cmp.eq.u32    sreg42, vreg0, 0
        s.lop.emsk      sreg43, sreg42 # 0x8
        v.mov.b32       vreg3, 1
        vmem.red.add.i32 [0x0 + vreg0 * 0x4] @next_flag, vreg3
        vmem.red.add.i32 [0x0 + vreg0 * 0x4] @count, vreg3
        s.wait          vstcnt(0)       // late timing keeps them back until then
        s.or.b32        emsk, emsk, sreg43
wait:   smem.ld.b32     sreg41, [0x0] @flag
        s.wait          sldcnt(0)
        s.cmp.lt.u32    scc, sreg41, turn
        s.cbr.nz        scc, wait
        vmem.ld.b32     vreg5, [0x0 + vreg0 * 0x4] @in
        s.wait          vldcnt(0)
        v.add.i32       vreg1, vreg1, vreg5
        s.cmp.lt.u32    scc, turn, turns
        s.cbr.nz        scc, loop
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @row
        s.wait          vstcnt(0)
        s.mov.b32       sreg50, %chip
        s.mov.b32       sreg51, turn
        s.cmp.eq.u32    scc, %warpid, 0
        s.cbr.az        scc, end
        s.print         line, sreg[50:51]
end:    simt.exit
"""
CHIPS, WORDS, TURNS = 6, 128, 5


def run(*, threads=1, exchange=None, quantum=4096, seed=0, timing="eager", chips=CHIPS, turns=TURNS):
    """Run it: memory, texts, modelled times, and counters of links. On other ranks than the first, None."""
    texts = []
    topology = Topology.ring(profile("M890"), chips)
    console = Console(texts.append)
    pod = Pod(
        "M890",
        chips,
        topology=topology,
        threads=threads,
        exchange=exchange,
        quantum=quantum,
        seed=seed,
        timing=timing,
        console=console,
    )
    pod.enable_peer_access()
    row = pod.symmetric((turns + 1) * WORDS, np.uint32, name="row")
    flag = pod.symmetric(WORDS, np.uint32, name="flag")
    count = pod.symmetric(WORDS, np.uint32, name="count")
    last = pod.chips[chips - 1].empty(WORDS, np.uint32, name="last")
    for chip in range(chips):
        row[chip].copy_from_host(first_rows(chips, turns)[chip])
        flag[chip].fill(0)
        count[chip].fill(0)
    last.fill(0)
    around = [(chip + 1) % chips for chip in range(chips)]
    nexts, flags = (PerChip([buffers[chip] for chip in around]) for buffers in (row, flag))
    streams = pod.stream()
    begin = streams[0].record()
    relay = pod.assemble(RELAY, "relay.s")["relay"]
    relay[1, WORDS, streams](row, nexts, flag, flags, count[0], turns)
    done = [stream.record() for stream in streams]
    streams[1].wait(done[0])
    streams[1].copy(last, row[0][:WORDS])
    end = streams[1].record()
    pod.synchronize()
    host = np.zeros(WORDS, np.uint32)
    streams[1].copy(host, last)
    streams[1].synchronize()
    memory = [pod.fetch(buffer) for buffer in (*row, *flag, *count, last)]
    for array in (host, last.copy_to_host()):  # all ranks have these
        np.testing.assert_array_equal(array, last_rows(chips, turns)[0])
    if pod.exchange.rank:
        return None
    return {
        "rows": [array[:WORDS].tolist() for array in memory[:chips]],
        "last": memory[-1].tolist(),
        "memory": [sha256(array.tobytes()).hexdigest() for array in memory],
        "texts": "".join(texts),
        "times": [begin.elapsed(event) for event in (*done, end)],
        "time": pod.time,
        "counters": asdict(pod.icn.counters()),
    }


def first_rows(chips=CHIPS, turns=TURNS):
    """What the rows hold at first."""
    rows = np.zeros((chips, (turns + 1) * WORDS), np.uint32)
    rows[:, :WORDS] = np.arange(chips * WORDS).reshape(chips, WORDS)
    return rows


def last_rows(chips=CHIPS, turns=TURNS):
    """What they should hold in the end."""
    rows = first_rows(chips, turns)[:, :WORDS]
    for turn in range(turns):
        rows = rows + np.roll(rows + np.uint32(turn), 1, axis=0)
    return rows


if __name__ == "__main__":
    found = run(exchange=Ranks())
    if found is not None:
        print(json.dumps(found))
