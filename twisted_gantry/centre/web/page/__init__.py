"""The page of the centre: ES modules, as a browser loads them; its data comes from the API."""
