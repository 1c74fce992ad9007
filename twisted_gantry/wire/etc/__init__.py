"""The ETC gantry monitoring interface: `monitor.do` and `remotecontrol.do`, both directions."""
