"""Rendered clips of puppets, with exact ground truth, for the demonstration and for training.

The puppets perform six actions of UCF101-24. Other puppets hold the same poses without moving, so a
single picture does not distinguish them; only motion does.
"""

from edgekit.puppets.clip import CLASSES, PuppetClip, PuppetTube, render_clip
from edgekit.puppets.dataset import write_dataset, write_video

__all__ = ["CLASSES", "PuppetClip", "PuppetTube", "render_clip", "write_dataset", "write_video"]
