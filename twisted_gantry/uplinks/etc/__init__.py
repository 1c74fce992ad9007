"""The uplink to the ETC platform: reports to `monitor.do`, and the card white list."""
