"""The Chinese of logs and of problems; the English stands in the code, and is the key."""
