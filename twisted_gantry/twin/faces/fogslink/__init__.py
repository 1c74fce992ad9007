"""The Fogslink cloud as a peer: accounts, records, and the packs that came or are missing."""
