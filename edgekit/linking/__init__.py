"""DEVICE. Links detections to tubes: EdgeKit's own tracker and the three of KORSAL's code.

EdgeKit's tracker (``tracker``, ``tracks``) follows actors: a track is one actor, and is cut into
tubes, one for each action. The published linkers, those of KORSAL's code (``published``,
``paths``), follow each class for itself: a path is one action of one class, and becomes a tube.
"""
