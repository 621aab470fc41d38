"""Rendered clips of puppets, with exact truth: what a demonstration and training can count on.

Six actions of UCF101-24 are mimicked. Beside the figures that act stand others that hold the very
same poses: a single picture does not tell them apart, only motion does.
"""

from edgekit.puppets.clip import CLASSES, PuppetClip, PuppetTube, render_clip
from edgekit.puppets.dataset import write_dataset, write_video

__all__ = ["CLASSES", "PuppetClip", "PuppetTube", "render_clip", "write_dataset", "write_video"]
