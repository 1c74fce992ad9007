"""A battery storage system behind the EMS API."""
