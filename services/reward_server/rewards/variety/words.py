"""Cut a text into the words that diversity is measured in."""

import re

TOKEN = re.compile(r"\w+|[^\w\s]")
TOKENIZER_ID = "words_and_marks.v1"
"""Lower-cased runs of word characters, and every other visible character by itself.

A script without spaces gives one word per run: such texts are compared as phrases. Figures of different tokenisers do
not compare; this name goes with every number.
"""


def tokens(text: str) -> list[str]:
    return TOKEN.findall(text.lower())
