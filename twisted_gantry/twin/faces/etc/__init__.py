"""The ETC platform as a peer: its `monitor.do`, and the commands it sends."""
