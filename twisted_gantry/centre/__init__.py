"""The platform for many gantries. An upload is acknowledged after its commit, and not before."""
