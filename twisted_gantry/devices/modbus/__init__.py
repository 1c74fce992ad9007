"""Devices whose registers the settings describe, over Modbus TCP or RTU over TCP."""
