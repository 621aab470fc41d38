"""Structures that the library shares with Python, field for field as in its headers."""

from __future__ import annotations

import ctypes

from edgekit.runtime.ssim import SHIFTS

__all__ = ["LAYOUTS", "CascadePlan", "Linking"]


class CascadePlan(ctypes.Structure):
    """Mirrors ``plan`` of cascade.h."""

    _fields_ = (
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("candidates", ctypes.c_int32),
        ("dissimilarity", ctypes.c_int32),
        ("shifts", ctypes.c_int32 * 2 * len(SHIFTS)),
        ("gain", ctypes.c_double * 3),
        ("bias", ctypes.c_double * 3),
        ("k1", ctypes.c_double),
        ("k2", ctypes.c_double),
        ("tie", ctypes.c_double),
        ("smallest", ctypes.c_double),
        ("levels", ctypes.c_float * 256 * 3),
    )


class Linking(ctypes.Structure):
    """Mirrors ``linking`` of linking.h; the last fields are addresses."""

    _fields_ = (
        *((name, ctypes.c_double) for name in ("floor", "carried", "faded", "moved")),
        *((name, ctypes.c_double) for name in ("shared", "accelerated", "measured2", "first2")),
        *((name, ctypes.c_double) for name in ("elapsed", "unsure_lost", "most_lost")),
        *((name, ctypes.c_double) for name in ("remembered", "outshines")),
        *((name, ctypes.c_double) for name in ("reach", "reach_per_miss", "largest_reach")),
        *((name, ctypes.c_double) for name in ("largest_growth", "largest_ratio")),
        *((name, ctypes.c_float) for name in ("least_overlap", "class_weight", "level_weight")),
        *((name, ctypes.c_float) for name in ("least_gain", "least_cosine", "suppressed")),
        *((name, ctypes.c_int32) for name in ("classes", "width", "sure_hits")),
        *((name, ctypes.c_int32) for name in ("tracks", "found", "ended")),
        *(
            (name, ctypes.c_int32)
            for name in ("row_capacity", "found_capacity", "avx2", "past_state")
        ),
        *(
            (name, ctypes.c_int64)
            for name in ("pair_capacity", "frame", "passed", "next_id", "past", "past_capacity")
        ),
        *((name, ctypes.c_void_p) for name in ("id", "start", "hits", "misses")),
        *(
            (name, ctypes.c_void_p)
            for name in ("lost", "watched", "sums", "level", "recent", "weight", "states", "size")
        ),
        *((name, ctypes.c_void_p) for name in ("label", "score", "box")),
        *(
            (name, ctypes.c_void_p)
            for name in ("ended_id", "ended_hits", "ended_watched", "ended_sums")
        ),
        *((name, ctypes.c_void_p) for name in ("boxes", "scores", "logs", "exps")),
        *((name, ctypes.c_void_p) for name in ("past_id", "past_frame", "past_passed")),
        *((name, ctypes.c_void_p) for name in ("past_elapsed", "past_seen")),
        *((name, ctypes.c_void_p) for name in ("past_states", "past_boxes", "past_scores")),
        *((name, ctypes.c_void_p) for name in ("pairs", "scratch")),
    )


LAYOUTS: tuple[type[ctypes.Structure], ...] = (CascadePlan, Linking)
"""Structures in the order in which the library numbers them."""
