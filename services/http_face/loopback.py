"""Which addresses nobody beyond this machine can reach."""

import ipaddress


def loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
