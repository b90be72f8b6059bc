"""Requests and tokens a minute; alone, or shared through Redis."""
