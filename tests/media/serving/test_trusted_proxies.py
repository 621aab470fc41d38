"""Tests that EdgeKit trusts the client addresses of named proxies only."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.media.serving.trusted_proxies import TrustedProxies

ADDRESSES = st.ip_addresses().map(str)


@pytest.mark.parametrize(
    ("names", "remote", "trusted"),
    [
        ((), "127.0.0.1", False),
        (("127.0.0.1",), "127.0.0.1", True),
        (("127.0.0.1",), "::ffff:127.0.0.1", True),
        (("127.0.0.1",), "::1", False),
        (("127.0.0.1",), "127.0.0.2", False),
        (("10.0.0.0/24", "::1"), "10.0.0.77", True),
        (("10.0.0.0/24", "::1"), "10.0.1.77", False),
        (("fe80::/64",), "fe80::1%eth0", True),
        (("::ffff:127.0.0.1",), "::ffff:127.0.0.1", True),
        (("0.0.0.0/0",), "", False),
    ],
)
def test_only_named_proxies_are_believed(names, remote, trusted):
    proxies = TrustedProxies(names)
    assert (remote in proxies) is trusted
    assert proxies.client_of(remote, "192.0.2.9") == ("192.0.2.9" if trusted else remote)


@pytest.mark.parametrize("forwarded", ["", "x", "192.0.2.9, ", "unknown", "192.0.2.9:80", "["])
def test_a_header_without_an_address_at_its_end_names_nobody(forwarded):
    assert TrustedProxies(["127.0.0.1"]).client_of("127.0.0.1", forwarded) == "127.0.0.1"


@given(made_up=st.text(), client=ADDRESSES, remote=ADDRESSES)
def test_what_a_client_makes_up_before_the_last_entry_changes_nothing(made_up, client, remote):
    header = f"{made_up}, {client}"
    assert TrustedProxies(["::/0", "0.0.0.0/0"]).client_of(remote, header) == client
    assert TrustedProxies().client_of(remote, header) == remote


@given(network=st.ip_addresses().map(ipaddress.ip_network), text=st.text(max_size=9))
def test_no_text_but_an_address_or_a_network_is_taken(network, text):
    assert str(network[0]) in TrustedProxies([f" {network} "])
    try:
        ipaddress.ip_network(text.strip())
    except ValueError:
        with pytest.raises(UsageError, match="trusted_proxy is"):
            TrustedProxies([text])


@pytest.mark.parametrize("name", ["", "nginx", "127.0.0.1:80", "10.0.0.1/24", "1.2.3.4/33"])
def test_a_wrong_name_says_what_is_right(name):
    with pytest.raises(UsageError, match="an IP address or a network was expected") as caught:
        TrustedProxies([name])
    assert "trusted_proxy='127.0.0.1'" in caught.value.hint
