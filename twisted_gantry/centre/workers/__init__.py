"""What the centre does by itself. A lease in the database says which worker does it."""
