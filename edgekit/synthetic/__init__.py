"""Renders clips of drawn figures, called puppets, with exact ground truth, for demo and training.

The puppets perform six actions of UCF101-24. Other puppets hold the same poses without moving, so a
single picture does not distinguish them; only motion does.
"""

from edgekit.synthetic.clip import CLASSES, PuppetClip, PuppetTube, render_clip
from edgekit.synthetic.dataset import write_dataset, write_video

__all__ = ["CLASSES", "PuppetClip", "PuppetTube", "render_clip", "write_dataset", "write_video"]
