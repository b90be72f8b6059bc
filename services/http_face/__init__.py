"""What the HTTP faces of all containers do alike: let in, refuse, log, trace, drain. It knows none of them."""
