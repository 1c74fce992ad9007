"""A smart cabinet as a peer: its `remotecontrol.do`, and its uploads to `monitor.do`."""
