from __future__ import annotations

import pytest

import edgekit


@pytest.mark.parametrize("name", edgekit.__all__)
def test_every_public_name_is_there(name):
    assert getattr(edgekit, name) is not None


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'Detekor'"):
        edgekit.Detekor  # noqa: B018
