"""The site at an MQTT broker. Only `link` knows paho, and only its thread touches the client."""
