"""What the launch files of collectives should leave. Their trials are in `collective_trials`: they need a pod."""

import numpy as np
from program_trials import files

from m890.programs import all_gather, all_reduce, all_to_all, broadcast, reduce, reduce_scatter, send_recv


@files
def all_reduce_file(args, buffers, launch):
    x = buffers["source"]
    return {"target": np.array(np.broadcast_to(all_reduce.reference(x), x.shape))}


@files
def reduce_file(args, buffers, launch):
    target = np.zeros_like(buffers["source"])
    target[args["root"]] = reduce.reference(buffers["source"])
    return {"target": target}


@files
def reduce_scatter_file(args, buffers, launch):
    return {"target": reduce_scatter.reference(buffers["source"])}


@files
def all_gather_file(args, buffers, launch):
    return {"target": np.array(all_gather.reference(buffers["source"]))}


@files
def broadcast_file(args, buffers, launch):
    return {"target": np.array(broadcast.reference(buffers["source"], args["root"]))}


@files
def all_to_all_file(args, buffers, launch):
    return {"target": np.array(all_to_all.reference(buffers["source"]))}


@files
def send_recv_file(args, buffers, launch):
    receivers = [None if peer == send_recv.NOBODY else int(peer) for peer in buffers["peers"][:, 0]]
    return {"target": send_recv.reference(buffers["source"], receivers, buffers["target"])}


@files
def barrier_file(args, buffers, launch):
    return {"flags": np.full_like(buffers["flags"], args["mark"])}
