"""Gathers small tensors of all processes that train together.

A batch norm gathers twice at each layer of each step. Gloo passes a tensor through several threads,
which takes two processes of one machine longer than a small layer; a local socket does not.
"""

from __future__ import annotations

import contextlib
import functools
import os
from multiprocessing.connection import Client, Connection, Listener

import torch
from torch import Tensor, distributed

__all__ = ["gather"]


def gather(own: Tensor) -> Tensor:
    """Returns the tensors of all processes, stacked in the order of the processes.

    Args:
        own: Tensor of at most some thousand values; every process gives one of this shape.

    Raises:
        ConnectionError: Another process has ended.
    """
    peers = () if own.is_cuda else _peers()
    if not peers:
        gathered = own.new_empty(distributed.get_world_size(), *own.shape)
        distributed.all_gather(list(gathered), own)
        return gathered
    content = own.numpy().tobytes()
    try:
        # A socket holds more than one such tensor: nobody waits until it is read.
        for peer in peers:
            if peer is not None:
                peer.send_bytes(content)
        contents = [content if peer is None else peer.recv_bytes() for peer in peers]
    except (EOFError, OSError) as error:
        raise ConnectionError("Connection closed by another process.") from error
    values = torch.frombuffer(bytearray(b"".join(contents)), dtype=own.dtype)
    return values.view(len(peers), *own.shape)


@functools.cache
def _peers() -> tuple[Connection | None, ...]:
    """Returns a connection to each process, and None for this one.

    The result is empty if the processes are on several machines, or if one cannot have a socket,
    because the path of the folder for temporary files is too long or the folder is read-only.
    """
    number, count = distributed.get_rank(), distributed.get_world_size()
    if count > int(os.environ.get("LOCAL_WORLD_SIZE", "1")):
        return ()
    peers: list[Connection | None] = [None] * count
    with contextlib.ExitStack() as stack:
        address = ""
        with contextlib.suppress(OSError):
            # In a folder of this user's own.
            listener = stack.enter_context(Listener(backlog=count))
            address = str(listener.address)
        addresses = [""] * count
        distributed.all_gather_object(addresses, address)
        if "" in addresses:
            return ()
        for earlier in range(number):
            connection = Client(addresses[earlier])
            connection.send(number)
            peers[earlier] = connection
        for _ in range(number + 1, count):
            connection = listener.accept()
            peers[connection.recv()] = connection
    return tuple(peers)
