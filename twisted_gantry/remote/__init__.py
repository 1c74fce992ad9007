"""Commands for the `remotecontrol.do` of another: how they are sent once, and what is answered."""
