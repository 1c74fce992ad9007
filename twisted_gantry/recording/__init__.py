"""`[record]`: every exchange with devices as JSON lines, without secrets and identifiers."""
