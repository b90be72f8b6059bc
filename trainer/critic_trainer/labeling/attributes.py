"""The attributes that a labeler is asked about, in the words it is asked with."""

ATTRIBUTES = {
    "empathy": "Does the reply notice how the seeker feels, and answer that feeling?",
    "informativeness": "Does the reply say concrete and relevant things about what it talks of?",
    "recommendation": "Does the reply recommend something that fits what the seeker asked for?",
    "engagement": "Does the reply invite the seeker to go on talking?",
    "overall": "How good is the reply as a whole?",
}
BLEU = "bleu"
"""Computed, never asked about: sentence BLEU of the reply against its reference, in [0, 1]."""
