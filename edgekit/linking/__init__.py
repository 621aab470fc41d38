"""DEVICE. Links the detections of single frames into tubes.

A *tube* is one action of one actor: a box in every frame from its first to its last. EdgeKit's own
linker (``tracker``, ``tracks``) follows each actor as a *track*, and cuts a finished track into
tubes, one for each action. The published linkers from KORSAL's code (``published``, ``paths``) link
each class separately. They make *paths*: tubes that may include frames before and after the action.
``trimming`` cuts paths into the tubes that the published evaluation counts.
"""
