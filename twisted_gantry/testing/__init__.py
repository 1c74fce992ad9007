"""What tests of drivers stand on: a clock, networks in memory, a site, and checks of a driver."""
