"""White lists, read in one go."""

from twisted_gantry.wire.etc.cards import Offer, read_offer
from twisted_gantry.wire.etc.envelope import Answer


def read_whole(answer: Answer) -> Offer:
    steps = read_offer(answer)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            offer: Offer = end.value
            return offer
