"""A smart cabinet below this gantry: it uploads to our `monitor.do` and is commanded."""
