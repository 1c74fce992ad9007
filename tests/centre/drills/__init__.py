"""Kill drills: real processes end at the worst moment, and nothing acknowledged is lost."""
