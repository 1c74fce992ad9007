"""The Chinese of logs, problems and errors; the English stands in the code, and is the key."""
