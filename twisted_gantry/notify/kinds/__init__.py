"""The kinds of targets, a module each: their settings, their bodies, what their answers mean."""
