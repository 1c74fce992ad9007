"""A cFos Power Brain as a peer: `/cnf` acts on the charging place of the world."""
