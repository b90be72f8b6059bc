"""What the kinds that reward diversity measure it with: n-gram counts, Self-BLEU, cosines, clusters, subsets.

Plain functions of tokenised texts, unit vectors and numbers, without a server, so that an evaluation can call them too.
"""
