"""`remotecontrol.do`: the ETC platform commands the gantry."""
