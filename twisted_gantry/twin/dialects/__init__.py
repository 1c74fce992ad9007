"""How real peers speak: what an endpoint of the twin says is written as one of them writes it."""
