"""Fault injection for the faces: what is misused, delayed, cut or repeated, and by which dice."""
