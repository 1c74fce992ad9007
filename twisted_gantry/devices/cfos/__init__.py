"""A cFos Power Brain with its EVSEs and meters, over `/cnf`."""
