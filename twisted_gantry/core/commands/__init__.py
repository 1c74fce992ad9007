"""The one door for commands, and the types of the commands that pass it."""
