"""What people send to gantries: commands at most once, questions, white lists."""
