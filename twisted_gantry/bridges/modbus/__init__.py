"""The site as a Modbus TCP server, for SCADA and 动环 systems. Needs the extra `modbus`."""
